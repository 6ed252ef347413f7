package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// A host is one of revision 2026-07-28 that a user has, as far as this demonstration needs one: it keeps
// a call's state, and presents it again whatever happened to the request.
type host struct {
	at    string // the endpoint
	token string
	id    int
}

// An answer is what a request was answered with.
type answer struct {
	state   string // of one that asks for input
	url     string // that the person is to open …
	message string // … and what they are told
	reason  string // of an error
	text    string
	failed  bool
}

// shown is by what a prompt can be told from others: its code, or its link.
func (a answer) shown() string { return cmp.Or(userCode.FindString(a.message), a.url) }

// send sends one request of a call.
func (h *host) send(ctx context.Context, text, state, action string) (answer, error) {
	h.id++
	params := map[string]any{"name": "create_note", "arguments": note{text}, "_meta": map[string]any{
		"io.modelcontextprotocol/protocolVersion":    "2026-07-28",
		"io.modelcontextprotocol/clientInfo":         map[string]any{"name": "replicas", "version": "1"},
		"io.modelcontextprotocol/clientCapabilities": map[string]any{"elicitation": map[string]any{"url": map[string]any{}}},
	}}
	if state != "" {
		params["requestState"] = state
	}
	if action != "" {
		params["inputResponses"] = map[string]any{"authorization": map[string]any{"action": action}}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": h.id, "method": "tools/call", "params": params})
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.at, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + h.token, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "create_note",
	} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusServiceUnavailable:
		return answer{}, errNobody
	default:
		return answer{}, fmt.Errorf("status %d", res.StatusCode)
	}
	return read(res)
}

// sendTwice is send by a host that presents its state once more before it has an answer, as one may whose
// connection is slow. Its handler is to run once all the same.
func (h *host) sendTwice(ctx context.Context, text, state, action string) (answer, error) {
	if state == "" {
		return h.send(ctx, text, state, action)
	}
	other := host{at: h.at, token: h.token, id: h.id + 1000}
	type result struct {
		answer
		error
	}
	results := make(chan result, 1)
	go func() {
		a, err := other.send(ctx, text, state, action)
		results <- result{a, err}
	}()
	a, err := h.send(ctx, text, state, action)
	if second := <-results; err != nil || a.failed && !second.failed && second.error == nil {
		return second.answer, second.error
	}
	return a, err
}

// errNobody is that the request has come to no process.
var errNobody = errors.New("no process is ready")

// errProtocol is a JSON-RPC error, which no call of this demonstration is to get.
var errProtocol = errors.New("JSON-RPC error")

// read reads a JSON answer, or the one at the end of a stream.
func read(res *http.Response) (answer, error) {
	var message struct {
		Error  json.RawMessage `json:"error"`
		Result *struct {
			Content []struct {
				Text string `json:"text"`
			} `json:"content"`
			IsError  bool                       `json:"isError"`
			Meta     map[string]json.RawMessage `json:"_meta"`
			State    string                     `json:"requestState"`
			Requests map[string]struct {
				Params struct {
					URL     string `json:"url"`
					Message string `json:"message"`
				} `json:"params"`
			} `json:"inputRequests"`
		} `json:"result"`
	}
	lines := bufio.NewReader(io.LimitReader(res.Body, 1<<20))
	for {
		line, err := lines.ReadString('\n')
		text := strings.TrimSpace(strings.TrimPrefix(line, "data:"))
		if strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &message) == nil && (message.Result != nil || message.Error != nil) {
			break
		}
		if err != nil {
			return answer{}, fmt.Errorf("the answer broke off: %w", err)
		}
	}
	if message.Error != nil {
		return answer{}, fmt.Errorf("%w %s", errProtocol, message.Error)
	}
	a := answer{state: message.Result.State, failed: message.Result.IsError}
	for _, c := range message.Result.Content {
		a.text += c.Text
	}
	_ = json.Unmarshal(message.Result.Meta[lazyauth.MetaReason], &a.reason) // there is none where it went well
	for _, r := range message.Result.Requests {
		a.url, a.message = r.Params.URL, r.Params.Message
	}
	return a, nil
}

// A person sits at a browser, and approves what their host shows them.
type person struct {
	name   string
	server *authServer
}

// userCode is what the person enters, as this authorization server has them.
var userCode = regexp.MustCompile(`\b[A-Z]{4}-[A-Z]{4}\b`)

// approves goes where a prompt leads, and approves there.
func (p *person) approves(ctx context.Context, a answer) error {
	if code := userCode.FindString(a.message); code != "" {
		return p.server.ApproveAs(p.name, code)
	}
	u, err := url.Parse(a.url)
	if err != nil {
		return err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	b := &browser{client: &http.Client{Jar: jar}, origin: u.Scheme + "://" + u.Host}
	if _, err := b.do(ctx, http.MethodPost, b.origin+server.SignInPath, url.Values{"user": {p.name}}); err != nil {
		return err
	}
	page, err := b.do(ctx, http.MethodGet, a.url, nil)
	if err != nil {
		return err
	}
	onward, err := b.goesOn(ctx, a.url, page)
	if err != nil {
		return err
	}
	back, err := fakeas.VisitAuthorization(ctx, &http.Client{Jar: jar}, onward, p.name, true)
	if err != nil {
		return err
	}
	last, err := b.do(ctx, http.MethodGet, back, nil)
	if err == nil && !strings.Contains(last, `data-page="signed-in"`) && !strings.Contains(last, `data-page="working"`) {
		err = errors.New("the last page is not the one that says that it is done")
	}
	return err
}
