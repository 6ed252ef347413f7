package wire_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A server is the least that a handler has to be. What it does with a request is a
// function of the test.
type server struct {
	hear    func(l *wire.Line, back wire.Channel, p *wire.Peer)
	dropped chan wire.Channel
}

func (s *server) Hear(l *wire.Line, back wire.Channel, p *wire.Peer) { s.hear(l, back, p) }
func (s *server) Posted(*wire.Line)                                  {}
func (s *server) Requested(*wire.Bare)                               {}
func (s *server) Visit(*http.Request)                                {}

func (s *server) Dropped(back wire.Channel) { s.dropped <- back }

func (s *server) Control(w http.ResponseWriter, _ *http.Request, path string) {
	_, _ = io.WriteString(w, "control "+path)
}

// A host is a client of the endpoints.
type host struct {
	t            *testing.T
	network      *wire.Memory
	at           *wire.Endpoints
	conversation *wire.Conversation
	client       *http.Client
}

// serve runs a test against a server in virtual time.
func serve(t *testing.T, modern, overHTTP bool, s *server, test func(h *host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		network := &wire.Memory{}
		at, err := wire.Open(network)
		if err != nil {
			t.Fatal(err)
		}
		s.dropped = make(chan wire.Channel, 10)
		c := wire.NewConversation(ctx, s, modern, overHTTP)
		at.Serve(c)
		transport := &http.Transport{DialContext: network.Dial}
		test(&host{t, network, at, c, &http.Client{Transport: transport}})
		cancel()
		transport.CloseIdleConnections()
		at.Close()
	})
}

// do makes a request for the server.
func (h *host) do(method, body string, header ...string) *http.Response {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.at.ServerURL(), strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := h.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp
}

// all reads a response to its end.
func all(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// answer answers a request with an empty result.
func answer(l *wire.Line, back wire.Channel) {
	_ = back.Send(json.RawMessage(`{"jsonrpc":"2.0","id":` + string(l.ID) + `,"result":{}}`))
	back.Last()
}

const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

// A response that comes at once is JSON; one that takes long, or with something
// before it, is a stream.
func TestHTTP_JSONOrStream(t *testing.T) {
	for name, c := range map[string]struct {
		first func(back wire.Channel)
		kind  string
		want  string
	}{
		"at once": {func(wire.Channel) {}, "application/json", `{"jsonrpc":"2.0","id":1,"result":{}}`},
		"after a while": {func(wire.Channel) { time.Sleep(time.Second) }, "text/event-stream",
			"event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n"},
		"after a notice": {func(back wire.Channel) { _ = back.Send(json.RawMessage(`{"method":"n"}`)) }, "text/event-stream",
			"event: message\ndata: {\"method\":\"n\"}\n\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{hear: func(l *wire.Line, back wire.Channel, _ *wire.Peer) {
				go func() {
					c.first(back)
					answer(l, back)
				}()
			}}
			serve(t, true, true, s, func(h *host) {
				resp := h.do(http.MethodPost, ping)
				if got := all(t, resp); resp.Header.Get("Content-Type") != c.kind || got != c.want {
					t.Errorf("%s: %q", resp.Header.Get("Content-Type"), got)
				}
			})
		})
	}
}

// In the older era the session that initialize begins has to be named, and may not
// be made up.
func TestHTTP_Session(t *testing.T) {
	s := &server{hear: func(l *wire.Line, back wire.Channel, p *wire.Peer) {
		if l.Method == "initialize" {
			p.Initialize(l.Params, l)
		} else if _, by := p.Initialized(); by == nil {
			t.Errorf("%s comes from a host that has not initialized", l.Method)
		}
		answer(l, back)
	}}
	serve(t, false, true, s, func(h *host) {
		resp := h.do(http.MethodPost, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}`)
		all(t, resp)
		id := resp.Header.Get("Mcp-Session-Id")
		if id == "" {
			t.Fatal("there is no session")
		}
		if resp = h.do(http.MethodPost, ping, "Mcp-Session-Id", id); resp.StatusCode != http.StatusOK {
			t.Errorf("in its session: status %d", resp.StatusCode)
		}
		all(t, resp)
		if resp = h.do(http.MethodPost, ping, "Mcp-Session-Id", "made up"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("in no session: status %d", resp.StatusCode)
		}
		all(t, resp)
	})
}

// A suspended exchange ends without its response, which comes to the connection with
// which the host comes back.
func TestHTTP_Suspend(t *testing.T) {
	s := &server{hear: func(l *wire.Line, back wire.Channel, _ *wire.Peer) {
		again := back.(*wire.Exchange).Suspend("event-1", 700*time.Millisecond)
		go func() {
			r := <-again
			answer(l, r.Exchange)
		}()
	}}
	serve(t, false, true, s, func(h *host) {
		if got := all(t, h.do(http.MethodPost, ping)); got != "id: event-1\nretry: 700\ndata:\n\n" {
			t.Errorf("the first connection has %q", got)
		}
		if got := all(t, h.do(http.MethodGet, "", "Last-Event-ID", "event-1")); !strings.Contains(got, `"result":{}`) {
			t.Errorf("the second connection has %q", got)
		}
		if resp := h.do(http.MethodGet, "", "Last-Event-ID", "event-1"); resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("coming back once more: status %d", resp.StatusCode)
		}
	})
}

// The connection with which a host comes back is an event stream, also where the response
// is ready as soon as it is there: a GET is answered with nothing else.
func TestHTTP_SuspendAnswersInStream(t *testing.T) {
	s := &server{hear: func(l *wire.Line, back wire.Channel, _ *wire.Peer) {
		again := back.(*wire.Exchange).Suspend(string(l.ID), time.Millisecond)
		go func() {
			r := <-again
			answer(l, r.Exchange)
		}()
	}}
	serve(t, false, true, s, func(h *host) {
		for i := range 300 {
			id := strconv.Itoa(i)
			all(t, h.do(http.MethodPost, `{"jsonrpc":"2.0","id":`+id+`,"method":"ping"}`))
			resp := h.do(http.MethodGet, "", "Last-Event-ID", id)
			if got := all(t, resp); resp.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("the host comes back, and is answered with %s: %q", resp.Header.Get("Content-Type"), got)
				return
			}
		}
	})
}

// A host that hangs up is told to the handler, and hears nothing more.
func TestHTTP_Dropped(t *testing.T) {
	heard := make(chan wire.Channel, 1)
	s := &server{hear: func(_ *wire.Line, back wire.Channel, _ *wire.Peer) { heard <- back }}
	serve(t, true, true, s, func(h *host) {
		resp := h.do(http.MethodPost, ping) // the header comes before the response
		back := <-heard
		resp.Body.Close()
		if got := <-s.dropped; got != back {
			t.Errorf("%v was dropped, not %v", got, back)
		}
		if err := back.Send(json.RawMessage(`{}`)); err == nil {
			t.Error("a message goes to nobody")
		}
	})
}

// A stub's connection carries one message a line, both ways, and ends with the
// server.
func TestStdio(t *testing.T) {
	var pipe *wire.Pipe
	s := &server{hear: func(l *wire.Line, back wire.Channel, _ *wire.Peer) {
		pipe = back.(*wire.Pipe)
		answer(l, back)
	}}
	serve(t, true, false, s, func(h *host) {
		conn, in, err := wire.Connect(h.t.Context(), h.at.ControlURL(), h.network.Dial)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "\n"+ping+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := bufio.NewReader(in).ReadString('\n'); err != nil || got != "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n" {
			t.Errorf("the host hears %q, %v", got, err)
		}
		if !h.at.Reached() {
			t.Error("nobody came")
		}
		pipe.Die()
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the connection goes on")
		}
		if got := <-s.dropped; got != pipe {
			t.Errorf("%v was dropped", got)
		}
	})
}

// The server of one transport is not that of the other.
func TestHTTP_NotOverStdio(t *testing.T) {
	s := &server{hear: func(*wire.Line, wire.Channel, *wire.Peer) { t.Error("something is heard") }}
	serve(t, true, false, s, func(h *host) {
		if resp := h.do(http.MethodPost, ping); resp.StatusCode != http.StatusNotFound {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

// A session that the server ends, or the host, is not known any more, neither to a
// message nor to a stream; and its stream ends.
func TestHTTP_SessionsEnd(t *testing.T) {
	for name, end := range map[string]func(h *host, x *wire.Exchange, id string){
		"the server": func(_ *host, x *wire.Exchange, _ string) { x.EndSession() },
		"the host": func(h *host, _ *wire.Exchange, id string) {
			if resp := h.do("DELETE", "", "Mcp-Session-Id", id); resp.StatusCode != http.StatusNoContent {
				t.Errorf("DELETE is answered with %d", resp.StatusCode)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var x *wire.Exchange
			s := &server{hear: func(l *wire.Line, back wire.Channel, _ *wire.Peer) {
				x, _ = back.(*wire.Exchange)
				answer(l, back)
			}}
			serve(t, false, true, s, func(h *host) {
				resp := h.do("POST", `{"jsonrpc":"2.0","id":1,"method":"initialize"}`)
				id := resp.Header.Get("Mcp-Session-Id")
				all(t, resp)
				stream := h.do("GET", "", "Mcp-Session-Id", id)
				end(h, x, id)
				all(t, stream) // to its end
				for _, method := range []string{"GET", "POST"} {
					if resp := h.do(method, ping, "Mcp-Session-Id", id); resp.StatusCode != http.StatusNotFound {
						t.Errorf("%s in the session is answered with %d", method, resp.StatusCode)
					}
				}
			})
		})
	}
}

// A server process whose input the host closed is told from one that it killed.
func TestStdio_HowItEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(conn net.Conn) error
		closed bool
	}{
		"closed": {wire.Finish, true},
		"killed": {net.Conn.Close, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{hear: func(l *wire.Line, back wire.Channel, _ *wire.Peer) { answer(l, back) }}
			serve(t, true, false, s, func(h *host) {
				conn, in, err := wire.Connect(h.t.Context(), h.at.ControlURL(), h.network.Dial)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(conn, ping+"\n"); err != nil {
					t.Fatal(err)
				}
				if _, err := in.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
				if err := c.end(conn); err != nil {
					t.Fatal(err)
				}
				if closed, _ := (<-s.dropped).(*wire.Pipe).Ended(); closed != c.closed {
					t.Errorf("its input was closed: %v", closed)
				}
				if n := len(h.conversation.Lines()); n != 1 {
					t.Errorf("%d messages", n)
				}
			})
		})
	}
}

// A message without its newline is read when the connection ends, and the record says
// why not before.
func TestStdio_NoNewline(t *testing.T) {
	for text, unended := range map[string]bool{ping + "\n": false, ping: true, ping + "\n" + ping: true} {
		s := &server{hear: func(*wire.Line, wire.Channel, *wire.Peer) {}}
		serve(t, true, false, s, func(h *host) {
			conn, _, err := wire.Connect(h.t.Context(), h.at.ControlURL(), h.network.Dial)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			if err := wire.Finish(conn); err != nil {
				t.Fatal(err)
			}
			<-s.dropped
			if got := h.conversation.Unended(); got != unended || len(h.conversation.Lines()) != strings.Count(text, ping) {
				t.Errorf("%q: unended is %v, with %d messages", text, got, len(h.conversation.Lines()))
			}
		})
	}
}

// What a host says with its last breath is heard, though it does not wait for an answer.
func TestPart_HearsTheLastWord(t *testing.T) {
	const word = `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`
	for range 50 {
		at, err := wire.Open(wire.Loopback{})
		if err != nil {
			t.Fatal(err)
		}
		s := &server{hear: func(*wire.Line, wire.Channel, *wire.Peer) {}, dropped: make(chan wire.Channel, 10)}
		c := wire.NewConversation(t.Context(), s, true, true)
		at.Serve(c)
		u, err := url.Parse(at.ServerURL())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", u.Path, u.Host, len(word), word)
		conn.Close()
		at.Part(time.Minute)
		if n := len(c.Lines()); n != 1 {
			t.Errorf("%d messages were heard", n)
		}
		at.Close()
	}
}

// Whoever keeps a connection is not waited for longer than that.
func TestPart_LeavesWhatIsLeft(t *testing.T) {
	at, err := wire.Open(wire.Loopback{})
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	u, err := url.Parse(at.ServerURL())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	if at.Part(50 * time.Millisecond); time.Since(began) < 50*time.Millisecond {
		t.Error("it was not waited for")
	}
}
