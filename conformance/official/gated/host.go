package gated

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// maxBody is more than any request of the suite has, in bytes.
const maxBody = 1 << 20

// maxRounds is how often the host makes a request before its answer counts, whatever that
// is: with the prompt and its retry, or a refusal in words and the call after it, two do.
const maxRounds = 5

// thinking is how long the model takes that was told in words to ask its person, before it calls
// again. It is more than the second and a half that two checks wait: whether they see what they
// wait for is then no matter of chance.
const thinking = 1700 * time.Millisecond

// settling is how much later than it ended the suite hears of a call that was made again. A tool
// that changes the list of tools has that announced 10 ms after its end, and go-sdk v1.8.0
// announces it also to a subscription that is just being opened, whatever that is for: its session
// is taken for one of the older era until it has its parameters. The suite opens its next one at
// once if it has waited in vain for what such a tool announces. To be removed with that fault.
const settling = 100 * time.Millisecond

// tampered is what the suite puts behind a requestState to see it refused.
const tampered = "-TAMPERED"

// A host stands between the suite, which knows nothing of signing in, and the server. It says
// whose a call is, each call somebody else's, and takes the prompts out of the conversation
// and answers them; everything else goes through as it comes, event by event.
type host struct {
	next    http.Handler
	answers bool

	callers atomic.Int64
	asked   atomic.Int64
	states  sync.Map // the caller who was given a requestState by a tool of the server's own

	mu      sync.Mutex
	untyped []string // guarded by mu
}

// A message is what the host reads of a JSON-RPC message.
type message struct {
	ID     any    `json:"id"`
	Method string `json:"method"`
	Params struct {
		Message string `json:"message"`
		State   string `json:"requestState"`
		Meta    struct {
			Version string `json:"io.modelcontextprotocol/protocolVersion"`
		} `json:"_meta"`
	} `json:"params"`
	Result *struct {
		Type     string                     `json:"resultType"`
		State    string                     `json:"requestState"`
		Requests map[string]json.RawMessage `json:"inputRequests"`
		Meta     map[string]any             `json:"_meta"`
	} `json:"result"`
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var request message
	_ = json.Unmarshal(body, &request) // what is none is the server's to refuse
	modern := request.Params.Meta.Version != ""
	s := &stream{host: h, w: w, caller: strconv.FormatInt(h.callers.Add(1), 10), modern: modern}
	s.begun = request.Method != "tools/call" // all else has one round
	if same, ok := h.states.Load(strings.TrimSuffix(request.Params.State, tampered)); ok {
		s.caller = same.(string) // the next round of that tool
	}
	s.answer = func(id any) { h.accept(r, s.caller, id) }
	defer s.answering.Wait()
	for range maxRounds {
		s.held, s.header, s.status = nil, make(http.Header), http.StatusOK
		h.next.ServeHTTP(s, h.asFrom(r.Context(), r, s.caller, body))
		if s.held == nil {
			s.begin()
			return
		}
		h.asked.Add(1)
		s.again = true
		if s.held.Result.Requests != nil {
			body = retry(body, s.held.Result.State)
			continue
		}
		select {
		case <-time.After(thinking):
		case <-r.Context().Done():
			return
		}
	}
	http.Error(s, "the host here was asked again and again", http.StatusInternalServerError)
}

// asFrom is the request with another body, and the caller.
func (h *host) asFrom(ctx context.Context, r *http.Request, caller string, body []byte) *http.Request {
	r = r.Clone(ctx)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set(callerHeader, caller)
	return r
}

// retry is a request once more, with the state and consent.
func retry(body []byte, state string) []byte {
	var request map[string]any
	if json.Unmarshal(body, &request) != nil {
		return body
	}
	params, ok := request["params"].(map[string]any)
	if !ok {
		return body
	}
	params["requestState"] = state
	params["inputResponses"] = map[string]any{promptKey: map[string]any{"action": "accept"}}
	again, err := json.Marshal(request)
	if err != nil {
		return body
	}
	return again
}

// accept answers a prompt of the older era, in the session of the request.
func (h *host) accept(r *http.Request, caller string, id any) {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "result": map[string]any{"action": "accept"}})
	if err != nil {
		return
	}
	r = h.asFrom(context.WithoutCancel(r.Context()), r, caller, body)
	r.Method = http.MethodPost // the prompt may have come by the stream of a GET
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	h.next.ServeHTTP(&nowhere{header: http.Header{}}, r)
}

func (h *host) untypedResults() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.untyped
}

// promptKey names lazyauth's request among those of an InputRequiredResult.
const promptKey = "authorization"

// A stream is the response to one request of the suite, made of those to the host's. The
// server writes each event of a stream by one Write.
type stream struct {
	host      *host
	w         http.ResponseWriter
	caller    string
	modern    bool
	answer    func(id any)   // a prompt of the older era
	answering sync.WaitGroup // the answers that are under way

	begun  bool        // what the server writes goes through
	again  bool        // this is not the first round
	header http.Header // of a response that has not begun, as is status
	status int
	held   *message // the result that the suite is not to see
}

// begin is where a round is known to be the last, or to have begun a stream that is for
// the suite.
func (s *stream) begin() {
	if s.begun {
		return
	}
	s.begun = true
	if s.again {
		time.Sleep(settling)
	}
	maps.Copy(s.w.Header(), s.header)
	s.w.WriteHeader(s.status)
}

func (s *stream) Header() http.Header {
	if s.begun {
		return s.w.Header()
	}
	return s.header
}

func (s *stream) WriteHeader(status int) {
	if s.begun {
		s.w.WriteHeader(status)
	}
	s.status = status
}

func (s *stream) Flush() {
	if s.begun {
		_ = http.NewResponseController(s.w).Flush() // the suite may be gone
	}
}

func (s *stream) Write(event []byte) (int, error) {
	data := event
	if _, after, ok := bytes.Cut(event, []byte("data: ")); ok {
		data = after
	}
	var m message
	_ = json.Unmarshal(data, &m) // what is none is for the suite
	s.note(&m, data)
	switch {
	case !s.host.answers:
	case m.Method == "elicitation/create" && strings.Contains(m.Params.Message, serviceName):
		s.host.asked.Add(1)
		s.answering.Go(func() { s.answer(m.ID) })
		return len(event), nil
	case m.Result == nil:
	case m.Result.Requests[promptKey] != nil, m.Result.Meta[lazyauth.MetaReason] == string(lazyauth.ReasonPending):
		s.held = &m
		return len(event), nil
	case m.Result.State != "":
		s.host.states.Store(m.Result.State, s.caller)
	}
	s.begin()
	return s.w.Write(event)
}

// note takes down a result of the newer era that does not say what it is. The suite does so
// too, but not in each scenario, and not of what it does not get to see.
func (s *stream) note(m *message, data []byte) {
	if !s.modern || m.Result == nil || m.Result.Type != "" {
		return
	}
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	s.host.untyped = append(s.host.untyped, string(bytes.TrimSpace(data)))
}

// nowhere is where the response to an answer goes, which is empty.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) WriteHeader(int)             {}
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
