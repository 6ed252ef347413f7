package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A host is a program built on somebody's MCP client library, with one
// examples/stdio as its server.
type host interface {
	// tools lists the server's tools.
	tools(ctx context.Context) ([]string, error)
	// call calls a tool and returns when the call has its result.
	call(ctx context.Context, tool string, arguments map[string]any) (result, error)
	// close ends the host and its server and waits for both.
	close() error
}

// A prompt is what the host was asked to show to the person, or a progress message,
// which it may show.
type prompt struct {
	Mode    string `json:"mode"` // of elicitation, or "progress"
	Message string `json:"message"`
	URL     string `json:"url"`
}

// A result is a tool's result as the client library handed it to the host.
type result struct {
	Content []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"content"`
	Structured json.RawMessage `json:"structuredContent"`
	IsError    bool            `json:"isError"`
	Meta       map[string]any  `json:"_meta"`
}

// text returns the texts of the result, a line each.
func (r result) text() string {
	var all string
	for _, c := range r.Content {
		all += c.Text + "\n"
	}
	return all
}

// reasonKey is where a failed sign-in says why, for programs.
const reasonKey = "io.github.lazyauth/reason"

// reason returns why the sign-in failed, "" when the result does not say.
func (r result) reason() string {
	reason, _ := r.Meta[reasonKey].(string)
	return reason
}

// An era is how client and server talk: see the two revisions of the protocol.
type era string

const (
	legacy era = "2025-11-25"
	modern era = "2026-07-28"
)

// A reach is how a host can bring something to its person, as far as it declares
// that. Where it declares elicitation it consents to what it is asked, at once.
type reach string

const (
	byURL      reach = "url"      // elicitation in both modes
	byForm     reach = "form"     // elicitation in form mode only
	byProgress reach = "progress" // no elicitation; calls have a progress token
	byText     reach = "text"     // neither
)

// elicits reports whether the host declares elicitation.
func (r reach) elicits() bool { return r == byURL || r == byForm }

// What a host is started with.
type hostOptions struct {
	era     era
	reach   reach
	name    string // of its client; "" is one of its own
	command string // of the server, with
	args    []string
	url     string // instead: where the server is, for hosts that are not to start it
	refuses string // what the person declines: prompts whose message contains it, unless ""
	prompts chan<- prompt
}

// deciding is how long a person takes at least to decline a prompt. Who is faster is taken
// for a program, and a host's program that refuses a link is asked by a form.
const deciding = 1200 * time.Millisecond

// answer shows a prompt and returns the person's answer to it: they consent at once, or
// decline in their own time.
func (o hostOptions) answer(ctx context.Context, p prompt) (action string) {
	o.prompts <- p
	if o.refuses == "" || !strings.Contains(p.Message, o.refuses) {
		return "accept"
	}
	select {
	case <-time.After(deciding):
	case <-ctx.Done():
	}
	return "decline"
}

// A protocolError is an error of the protocol, of a call that has no result, as the client
// library handed it to the host.
type protocolError struct {
	code    int
	message string
}

func (e *protocolError) Error() string {
	return fmt.Sprintf("protocol error %d: %s", e.code, e.message)
}

// hosts are the client libraries, each with the eras that it speaks.
var hosts = []struct {
	name  string
	eras  []era
	start func(ctx context.Context, o hostOptions) (host, error)
}{
	{"ts-sdk-v1", []era{legacy}, startNodeHost("hosts/v1.mjs")},
	{"ts-sdk-v2", []era{legacy, modern}, startNodeHost("hosts/v2.mjs")},
	{"mcp-go", []era{legacy, modern}, startMCPGo},
	{"go-sdk", []era{legacy, modern}, startGoSDK},
}

// everyHost runs a story once for each host and era, all at the same time.
func everyHost(t *testing.T, options storyOptions, tell func(t *testing.T, s *story)) {
	t.Parallel()
	for _, h := range hosts {
		for _, e := range h.eras {
			o := options
			o.era, o.start = e, h.start
			t.Run(fmt.Sprintf("%s/%s", h.name, e), func(t *testing.T) {
				t.Parallel()
				tell(t, newStory(t, o))
			})
		}
	}
}

// bothEras tells a story with the Go SDK as the host, once in each era.
func bothEras(t *testing.T, options storyOptions, tell func(t *testing.T, s *story)) {
	t.Helper()
	for _, e := range []era{legacy, modern} {
		o := options
		o.era, o.start = e, startGoSDK
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			tell(t, newStory(t, o))
		})
	}
}

// asResult reads a result that a Go library decoded, by way of what it looks
// like on the wire.
func asResult(v any) (r result, err error) {
	text, err := json.Marshal(v)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}
