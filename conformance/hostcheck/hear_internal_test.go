package hostcheck

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// deaf is a channel to nobody.
type deaf struct{}

func (deaf) send(json.RawMessage) error { return errGone }
func (deaf) last()                      {}
func (deaf) gone() <-chan struct{}      { return nil }

// Whatever a host sends, the server and the checks take it.
func FuzzHear(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{"elicitation":{}}}}`,
		`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"notes_search","arguments":{"call":"sign-in"},` +
			`"_meta":{"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}}},"progressToken":1.5}}}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"inputResponses":{"x":null},"requestState":null}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[]}}`,
		`{"jsonrpc":"2.0","id":"elicit-consent-1","result":{"action":7}}`, `{"id":null,"method":"x"}`, `[]`, `{`, "null",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, modern bool) {
		protocol := Legacy
		if modern {
			protocol = Modern
		}
		st := newStage(t.Context(), consenting, protocol, HTTP)
		s := &session{}
		for range 2 {
			l := st.received(1, raw, map[string][]string{"Accept": {"*/*"}})
			if l == nil {
				break
			}
			st.checkPost(l)
			st.hear(l, deaf{}, s)
		}
		st.end()
		st.playing.Wait()
		r := st.judged("")
		for _, c := range r.Checks {
			if c.Status == "" {
				t.Errorf("%s has no status", c.ID)
			}
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("the result cannot be written: %v", err)
		}
	})
}

// Over HTTP two requests can come at the same moment. One of them comes second
// all the same, and its id is compared with that of the other.
func TestHear_RequestsAtTheSameMoment(t *testing.T) {
	const id1, id2 = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{}}`
	for name, c := range map[string]struct {
		second string
		want   mark
	}{"two ids": {id2, passed}, "one id": {id1, failed}} {
		t.Run(name, func(t *testing.T) {
			for range 500 {
				st := newStage(t.Context(), parallel, Modern, HTTP)
				var wg sync.WaitGroup
				start := make(chan struct{})
				for _, raw := range []string{id1, c.second} {
					l := st.received(1, []byte(raw), http.Header{})
					wg.Go(func() {
						<-start
						st.hear(l, deaf{}, &session{})
					})
				}
				close(start)
				wg.Wait()
				st.end()
				st.playing.Wait()
				if found := st.findings["B16"]; len(found) != 1 || found[0].mark != c.want {
					t.Fatalf("of two requests at the same moment the suite finds %v", found)
				}
			}
		})
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add("one\ntwo", 10)
	f.Add(strings.Repeat("x", 100), 10)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(0, limit%1000)
		in := bufio.NewReaderSize(strings.NewReader(text), 16)
		read := ""
		for {
			line, err := readLine(in, limit)
			if errors.Is(err, errLong) {
				return
			}
			if len(line) > limit {
				t.Fatalf("a line of %d bytes where %d is the limit", len(line), limit)
			}
			read += string(line)
			if err != nil {
				break
			}
		}
		if read != text {
			t.Errorf("read %q of %q", read, text)
		}
	})
}

func TestParseMessage(t *testing.T) {
	for raw, want := range map[string]kind{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`:             request,
		`{"jsonrpc":"2.0","id":null,"method":"ping"}`:          request, // a wrong one, which the checks tell
		`{"jsonrpc":"2.0","method":"notifications/cancelled"}`: notification,
		`{"jsonrpc":"2.0","id":"x","result":{}}`:               response,
		`{"jsonrpc":"2.0","id":"x","error":{"code":-1}}`:       response,
		`{"jsonrpc":"2.0","id":"x"}`:                           garbage,
		`{"jsonrpc":"2.0","result":{}}`:                        garbage,
		`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`:           garbage,
		`{"id":1,"method":"ping"} {}`:                          garbage,
		``:                                                     garbage,
	} {
		if _, got, _ := parseMessage([]byte(raw)); got != want {
			t.Errorf("%s is %d, not %d", raw, got, want)
		}
	}
}

func TestValidID(t *testing.T) {
	for raw, want := range map[string]bool{
		`1`: true, `-3`: true, `"a"`: true, `"1.5"`: true, `1.5`: false, `1e3`: false, `null`: false, `{}`: false, `[1]`: false,
		`true`: false, ``: false,
	} {
		if got := validID(json.RawMessage(raw)); got != want {
			t.Errorf("%s: %v", raw, got)
		}
	}
}

func TestSentinel(t *testing.T) {
	if got, ok := sentinel("=?base64?SGVsbG8sIOS4lueVjA==?="); !ok || got != "Hello, 世界" {
		t.Errorf("decoded as %q, %v", got, ok)
	}
	for _, s := range []string{"notes_search", "=?base64?", "=?base64?!!?=", "=?BASE64?aGk=?="} {
		if got, ok := sentinel(s); ok {
			t.Errorf("%q is taken for an encoding of %q", s, got)
		}
	}
}

// A requirement that stands in both revisions is linked in the one that is run.
func TestSectionFollowsTheProtocol(t *testing.T) {
	r := byID("A13")
	if got := r.in(Modern).URL; got != site+"/specification/2026-07-28/client/elicitation#safe-url-handling" {
		t.Error(got)
	}
	if got := r.in(Legacy); got != r.Section {
		t.Error(got)
	}
}
