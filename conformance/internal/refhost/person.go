package refhost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// An elicitation is the parameters of elicitation/create.
type elicitation struct {
	Mode    string          `json:"mode"`
	Message string          `json:"message"`
	URL     string          `json:"url"`
	ID      string          `json:"elicitationId"`
	Schema  json.RawMessage `json:"requestedSchema"`
}

// announce says what the host reports.
func (h *host) announce(ctx context.Context) error {
	if !h.hooked() {
		return nil
	}
	var task hostcheck.Task // which has more than that of the environment
	does := "resources,prompts,listed,maximum"
	switch h.habit {
	case CallsByName:
		does = "resources,prompts,maximum"
	case OwnMaximum:
		does = "resources,prompts,listed"
	}
	err := h.control(ctx, http.MethodGet, "task?hooks=shown,opened,outcome,entries&does="+does, nil, &task)
	if err == nil && len(task.Steps) > 0 {
		h.launch.Task = task
	}
	return err
}

// hooked says whether the host reports what it shows.
func (h *host) hooked() bool { return h.habit != OpensThenAccepts }

// report says what a call came to.
func (h *host) report(ctx context.Context, call string, out outcome) {
	if !h.hooked() {
		return
	}
	if h.habit == WrapsResults {
		out.text = "<tool_result>\n" + out.text + "\n</tool_result>"
	}
	_ = h.control(ctx, http.MethodPost, "outcome", hostcheck.Outcome{Call: call, Text: out.text, Error: out.failed}, nil)
}

// elicit asks the person and returns the result of the elicitation.
func (h *host) elicit(ctx context.Context, e elicitation) response {
	action, content := h.present(ctx, e)
	out := response{"action": action}
	if e.Mode != "url" && action == "accept" || e.Mode == "url" && h.fault == ContentWithURL {
		out["content"] = content
	}
	if h.fault == MalformedContent && action != "accept" {
		out["content"] = []string{"nothing"}
	}
	if h.fault == CancelForDecline && action == "decline" {
		out["action"] = "cancel"
	}
	if action != "accept" {
		h.mu.Lock()
		h.refused++
		h.mu.Unlock()
	}
	if h.fault == AcceptsAtTheEnd && action == "accept" && h.dawdles() {
		h.begin() // the person is busy, so that no clock runs
		defer h.end()
		h.sleep(ctx, 12*time.Second)
	}
	return out
}

// dawdles says whether a host that is late is late now: once is enough, and a task has
// many prompts.
func (h *host) dawdles() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := !h.stash.dawdled
	h.stash.dawdled = true
	return first
}

// present shows a prompt, and opens its URL if the person agrees. It returns
// what the person did, accept, decline or cancel, and what is in the form.
func (h *host) present(ctx context.Context, e elicitation) (string, map[string]any) {
	form := newForm(h, e)
	return h.ask(ctx, e, form), form.content()
}

// ask is present for a form.
func (h *host) ask(ctx context.Context, e elicitation, form *form) string {
	if h.fault == DeclinesUnseen {
		return "decline"
	}
	if h.fault == Prefetches && e.Mode == "url" {
		h.visit(ctx, e.URL)
	}
	if e.Mode == "url" && h.knows(e.URL) {
		h.browse(ctx, e.URL)
		return "accept"
	}
	h.begin()
	defer h.end()
	select {
	case h.dialog <- struct{}{}:
		defer func() { <-h.dialog }()
	case <-ctx.Done():
		return "cancel"
	}
	if e.Mode == "url" {
		u, err := url.Parse(e.URL)
		if (err != nil || u.Scheme != "http" && u.Scheme != "https") && h.fault != OpensAnything {
			return "cancel" // nothing to show that could be opened
		}
	}
	if h.fault == OpensUnasked && e.Mode == "url" {
		h.browse(ctx, e.URL)
	}
	if h.fault == AnswersForPerson {
		d, err := h.put(ctx, e, form)
		if err != nil {
			return "cancel"
		}
		go func() {
			if h.pressed(ctx, d).Action == "accept" && e.Mode == "url" {
				h.browse(ctx, e.URL)
			}
		}()
		// A moment later: many a script signs the person in as long after the answer as
		// they take to press, and what came first of the two would be open.
		h.sleep(ctx, 100*time.Millisecond)
		return "accept"
	}
	if h.fault == ShowsTwice {
		_ = h.control(ctx, http.MethodPost, "shown", h.dialogFor(e, form), nil)
	}
	action := h.show(ctx, e, form)
	if action == "accept" && e.Mode == "url" && h.fault != OpensUnasked {
		h.agree(e.URL)
		h.browse(ctx, e.URL)
	}
	return action
}

// agree keeps that the person agreed to go to a site, as no host should.
func (h *host) agree(address string) {
	u, err := url.Parse(address)
	if err != nil || h.fault != RemembersConsent {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stash.agreed == nil {
		h.stash.agreed = make(map[string]bool)
	}
	h.stash.agreed[u.Host] = true
}

// knows says whether the person agreed to go to that site before.
func (h *host) knows(address string) bool {
	u, err := url.Parse(address)
	h.mu.Lock()
	defer h.mu.Unlock()
	return err == nil && h.stash.agreed[u.Host]
}

// code is what this host makes copyable.
var code = regexp.MustCompile(`\b[A-Z]{3}-\d{3}-\d{3}\b`)

// dialogFor is what this host shows of a prompt.
func (h *host) dialogFor(e elicitation, form *form) hostcheck.Shown {
	s := hostcheck.Shown{
		Mode: e.Mode, Server: h.launch.Task.Server.Name, Message: e.Message,
		Actions: []string{"accept", "decline", "cancel"}, Controls: []string{"retry", "cancel"},
		Copyable: code.FindAllString(e.Message, -1), Fields: form.stands(),
	}
	if s.Mode == "" {
		s.Mode = "form"
	}
	if e.Mode == "url" {
		s.URL = e.URL
		if u, err := url.Parse(e.URL); err == nil {
			s.Domain, s.Highlight = u.Hostname(), u.Hostname()
			if strings.Contains(u.Hostname(), "xn--") {
				s.Warning = "This address imitates letters with others."
			}
		}
	}
	switch h.habit {
	case ShowsHostAndPort:
		if u, err := url.Parse(e.URL); err == nil {
			s.Domain, s.Highlight = u.Host, u.Host
		}
	case HighlightsOrigin:
		if u, err := url.Parse(e.URL); err == nil {
			s.Highlight = u.Scheme + "://" + u.Host
		}
	case NamesServerInWords:
		s.Server = "The server Hostcheck (configured by you)"
	}
	h.misrender(&s)
	return s
}

// show reports a dialog and waits for the person.
func (h *host) show(ctx context.Context, e elicitation, form *form) string {
	if !h.hooked() {
		form.complete()
		h.sleep(ctx, 300*time.Millisecond)
		if e.Mode == "url" {
			h.visit(ctx, e.URL) // which is what the browser does
			h.sleep(ctx, 100*time.Millisecond)
		}
		return "accept"
	}
	d, err := h.put(ctx, e, form)
	if err != nil {
		return "cancel"
	}
	for range maxTries {
		press := h.pressed(ctx, d)
		if form.enter(press.Entries); press.Action != "accept" || form.valid() {
			return press.Action
		}
	}
	return "cancel" // nobody fills in the form
}

// put reports a dialog.
func (h *host) put(ctx context.Context, e elicitation, form *form) (hostcheck.Dialog, error) {
	var d hostcheck.Dialog
	err := h.control(ctx, http.MethodPost, "shown", h.dialogFor(e, form), &d)
	return d, err
}

// pressed waits for what the person does in a dialog.
func (h *host) pressed(ctx context.Context, d hostcheck.Dialog) hostcheck.Press {
	pressing, stop := context.WithCancel(ctx)
	defer stop()
	h.mu.Lock()
	closing := h.closing
	h.mu.Unlock()
	go func() {
		select {
		case <-closing:
			stop()
		case <-pressing.Done():
		}
	}()
	var press hostcheck.Press
	err := h.control(pressing, http.MethodGet, "press?dialog="+url.QueryEscape(d.Dialog), nil, &press)
	switch {
	case err != nil:
		return hostcheck.Press{Action: "cancel"}
	case press.Action == "nothing":
		if h.fault == GivesUpForPerson {
			h.sleep(ctx, time.Second)
			return hostcheck.Press{Action: "cancel"}
		}
		<-ctx.Done()
		return hostcheck.Press{Action: "cancel"}
	}
	return press
}

// misrender spoils a dialog in the way of the fault.
func (h *host) misrender(s *hostcheck.Shown) {
	switch h.fault {
	case NoWayOut:
		s.Actions = []string{"accept"}
	case NothingToApprove:
		s.Actions = []string{"decline", "cancel"}
	case NoServerName:
		s.Server = ""
	case NoDomain:
		s.Domain = ""
	case DecodesURL:
		s.URL, _ = url.PathUnescape(s.URL)
	case ShortensURL:
		s.URL, _, _ = strings.Cut(s.URL, "?")
	case NoHighlight:
		s.Highlight = ""
	case NoWarning:
		s.Warning = ""
	case LinksInMessage:
		s.Links = regexp.MustCompile(`https?://\S+`).FindAllString(s.Message, -1)
	case NoControls:
		s.Controls = nil
	case NothingToCopy:
		s.Copyable = nil
	case CutsMessage:
		s.Message = s.Message[:min(len(s.Message), 60)]
	}
}

// browse opens a URL.
func (h *host) browse(ctx context.Context, address string) {
	if !h.hooked() {
		return
	}
	o := hostcheck.Opened{URL: address, In: "browser"}
	if h.habit == EncodesURL {
		o.URL = strings.NewReplacer("$", "%24", "{", "%7B", "}", "%7D", "`", "%60", "(", "%28", ")", "%29").Replace(address)
	}
	switch h.fault {
	case EmbedsPage:
		o.In = "embedded"
	case OpensWithShell:
		o.URL, _, _ = strings.Cut(address, "&") // where a shell ends a command
		if run := regexp.MustCompile(`\$\(curl\$\{IFS\}([^)]*)\)`).FindStringSubmatch(address); run != nil {
			h.visit(ctx, run[1])
		}
	}
	switch h.fault {
	case OpensNothing:
		return
	case OpensTwice:
		_ = h.control(ctx, http.MethodPost, "opened", o, nil)
	case OpensLate:
		h.late.Go(func() {
			h.sleep(ctx, 12*time.Second)
			_ = h.control(ctx, http.MethodPost, "opened", o, nil)
		})
		return
	}
	_ = h.control(ctx, http.MethodPost, "opened", o, nil)
}

// visit requests a page, as a host should not.
func (h *host) visit(ctx context.Context, address string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return
	}
	if resp, err := h.desk.Do(req); err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
		resp.Body.Close()
	}
}

// begin and end count the dialogs that are open.
func (h *host) begin() { h.count(1) }
func (h *host) end()   { h.count(-1) }

func (h *host) count(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open += n
	close(h.turned)
	h.turned = make(chan struct{})
}

// asking says whether a dialog is open, and gives what is closed when that may
// have changed.
func (h *host) asking() (bool, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open > 0, h.turned
}

func (h *host) sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// control speaks to the suite.
func (h *host) control(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		body = bytes.NewReader(mustJSON(in))
	}
	req, err := http.NewRequestWithContext(ctx, method, h.launch.Control+"/"+path, body)
	if err != nil {
		return err
	}
	resp, err := h.desk.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("control endpoint: %s", resp.Status)
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return errors.New("control endpoint: " + err.Error())
	}
	return nil
}
