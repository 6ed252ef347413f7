// Package screen is the part of a host that an SDK leaves to whoever writes the
// host: the dialog that a prompt is shown in, the browser, and the model that
// reads results. Here nothing is on a screen: what would be is reported to
// hostcheck, over its adapter protocol, and the person is hostcheck.
package screen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// A Screen shows what a host has to show. It is safe for concurrent use.
type Screen struct {
	Task    hostcheck.Task // what the host is to do
	control string
	offered []string      // the tools that the model has to choose from
	room    chan struct{} // a place for each dialog that can be open at once
}

// dialogs is how many dialogs can be open at once, and pause how long a place
// stays empty between two. Further prompts queue: nobody is flooded.
const (
	dialogs = 3
	pause   = 500 * time.Millisecond
)

// Open learns the task from the control endpoint that hostcheck announces in
// the environment.
func Open(ctx context.Context) (*Screen, error) { return open(ctx, "shown,opened,outcome") }

// OpenUnasked is Open for a host that shows nothing of its prompts to whoever
// drives it.
func OpenUnasked(ctx context.Context) (*Screen, error) { return open(ctx, "outcome") }

func open(ctx context.Context, hooks string) (*Screen, error) {
	s := &Screen{control: os.Getenv("HOSTCHECK_CONTROL"), room: make(chan struct{}, dialogs)}
	if s.control == "" {
		return nil, errors.New("HOSTCHECK_CONTROL is not set: this host is started by hostcheck")
	}
	return s, s.talk(ctx, http.MethodGet, "task?does=listed&hooks="+hooks, nil, &s.Task)
}

// Ask shows a prompt and waits for the person, who may take as long as ctx
// lasts. It returns accept, decline or cancel; it has opened the URL of a
// prompt that was accepted. Mode is as it came from the server; missing, it
// means a form. What the browser is never to open is cancelled unseen.
func (s *Screen) Ask(ctx context.Context, mode, message, address string) (string, error) {
	shown := hostcheck.Shown{
		Mode: "form", Server: s.Task.Server.Name, Message: message, Actions: []string{"accept", "decline", "cancel"},
	}
	if mode == "url" {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" {
			return "cancel", nil
		}
		shown.Mode, shown.URL, shown.Domain, shown.Highlight = mode, address, u.Hostname(), u.Hostname()
		if strings.Contains("."+u.Hostname(), ".xn--") {
			shown.Warning = "The name of this site may imitate another."
		}
	}
	select {
	case s.room <- struct{}{}:
		defer time.AfterFunc(pause, func() { <-s.room })
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	var dialog hostcheck.Dialog
	if err := s.talk(ctx, http.MethodPost, "shown", shown, &dialog); err != nil {
		return "", err
	}
	var press hostcheck.Press
	if err := s.talk(ctx, http.MethodGet, "press?dialog="+url.QueryEscape(dialog.Dialog), nil, &press); err != nil {
		return "", err
	}
	switch press.Action {
	case "nothing": // the dialog is left alone
		<-ctx.Done()
		return "", context.Cause(ctx)
	case "accept":
		if mode == "url" {
			return press.Action, s.talk(ctx, http.MethodPost, "opened", hostcheck.Opened{URL: address, In: "browser"}, nil)
		}
	}
	return press.Action, nil
}

// Offer says which tools the model has to choose from: those of the list that the
// library has returned.
func (s *Screen) Offer(tools []string) { s.offered = tools }

// callTimeout is for calls that come without a time-out: what many hosts use.
const callTimeout = time.Minute

// Do makes the calls of the task, those of a step side by side, each under a
// context that ends with its time-out, and hands to the model whatever comes of
// them. A tool that was not offered is not called. Call returns the text of a result, and whether that is an error.
func (s *Screen) Do(ctx context.Context, call func(context.Context, hostcheck.Call) (text string, failed bool, err error)) {
	for _, step := range s.Task.Steps {
		var calls sync.WaitGroup
		for _, c := range step {
			calls.Go(func() {
				limit := callTimeout
				if c.TimeoutMs > 0 {
					limit = time.Duration(c.TimeoutMs) * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(ctx, limit)
				defer cancel()
				text, failed, err := "", true, errNotOffered
				if slices.Contains(s.offered, c.Tool) {
					text, failed, err = call(ctx, c)
				}
				if err != nil {
					text, failed = err.Error(), true
				}
				if err := s.report(context.WithoutCancel(ctx), hostcheck.Outcome{Call: c.ID, Text: text, Error: failed}); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			})
		}
		calls.Wait()
	}
}

// Report hands to the model what came of a call, for hosts that make their calls
// by themselves. The text has to say whether the call failed.
func (s *Screen) Report(ctx context.Context, call, text string) error {
	return s.report(ctx, hostcheck.Outcome{Call: call, Text: text})
}

func (s *Screen) report(ctx context.Context, o hostcheck.Outcome) error {
	return s.talk(ctx, http.MethodPost, "outcome", o, nil)
}

var errNotOffered = errors.New("the model has no such tool")

// talk makes a request of the control endpoint, with a body unless in is nil,
// and reads the answer into out unless that is nil.
func (s *Screen) talk(ctx context.Context, method, path string, in, out any) error {
	body := new(bytes.Buffer)
	if in != nil {
		if err := json.NewEncoder(body).Encode(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, s.control+"/"+path, body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("hostcheck answers %s", resp.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(out)
}
