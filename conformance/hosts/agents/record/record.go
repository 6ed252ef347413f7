package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A Prompt is an elicitation.
type Prompt struct {
	Mode   string
	At     time.Time
	Answer string // accept, decline, cancel, error, or nothing yet
	After  time.Duration

	key, state string // in 2026-07-28
}

// Automatic says whether the agent refused the prompt by itself: nobody reads
// and decides in less than a second.
func (p *Prompt) Automatic() bool {
	return p.Answer != "" && p.Answer != "accept" && p.After < time.Second
}

// A Call is one of the tool, with all requests that it took.
type Call struct {
	Process      int       // of the server's that it was made to
	Began, Ended time.Time // Ended is zero until it has
	Requests     int
	Failed       bool
	GivenUp      bool   // the agent has cancelled it
	Reason       string // why, as lazyauth says it
	Text         string // of the result, or of the error

	state string
}

// A Sighting is a message of the server in which a person can read where to go.
type Sighting struct {
	Way     string // the mode of an elicitation, progress, or text
	URL     string
	Code    string // none if the sign-in has none
	At      time.Time
	Process int     // of the server's that showed it
	Prompt  *Prompt // of which it is, if it is of one
}

// A Record is what a recording comes to. It is not safe for concurrent use.
type Record struct {
	// Tool is the tool whose calls are looked at.
	Tool string
	// Codes says whether a link without a code is of no use to a person.
	Codes bool
	// Seen, if set, is told of each sighting, Answered of each answer to a
	// prompt, and Over of each process of the server's that has ended, as they are read.
	Seen     func(*Sighting)
	Answered func(*Prompt)
	Over     func(process int)

	Agent    string // name and version, as it says
	Protocol string
	Declares string            // the modes of elicitation
	Servers  int               // how often the server was started
	Ended    map[int]time.Time // its processes, when they had
	Calls    []*Call
	Prompts  []*Prompt
	Sighted  []*Sighting
	Trouble  string // the last line of the server's on standard error

	open map[string]any // by request: *Call, *Prompt, or the method
}

// Read adds a line. What is no message is passed over.
func (r *Record) Read(l Line) {
	switch l.From {
	case Started:
		r.Servers++
	case Ended:
		if r.Ended == nil {
			r.Ended = make(map[int]time.Time)
		}
		r.Ended[l.Process] = l.At
		if r.Over != nil {
			r.Over(l.Process)
		}
	case Stderr:
		r.Trouble = l.Text
	case Agent, Server:
		var m message
		if json.Unmarshal([]byte(l.Text), &m) != nil {
			return
		}
		if r.open == nil {
			r.open = make(map[string]any)
		}
		key := func(from Speaker, id json.RawMessage) string { return fmt.Sprint(l.Process, from, string(id)) }
		if l.From == Agent {
			r.agent(l, m, key)
		} else {
			r.server(l, m, key)
		}
	}
}

func (r *Record) agent(l Line, m message, key func(Speaker, json.RawMessage) string) {
	switch m.Method {
	case "initialize":
		r.declare(m.Params.Capabilities, m.Params.ClientInfo)
		r.open[key(Agent, m.ID)] = m.Method
	case "tools/call":
		if m.Params.Name != r.Tool {
			return
		}
		var version string
		if meta(m.Params.Meta, metaPrefix+"protocolVersion", &version); version != "" {
			var can capabilities
			var who implementation
			meta(m.Params.Meta, metaPrefix+"clientCapabilities", &can)
			meta(m.Params.Meta, metaPrefix+"clientInfo", &who)
			r.Protocol = version
			r.declare(can, who)
		}
		r.open[key(Agent, m.ID)] = r.call(l, m.Params)
	case "notifications/cancelled":
		if c, ok := r.open[key(Agent, m.Params.RequestID)].(*Call); ok && c.Ended.IsZero() {
			c.GivenUp = true
		}
	case "":
		if p, ok := r.open[key(Server, m.ID)].(*Prompt); ok {
			action := "error"
			if m.Result != nil {
				action = m.Result.Action
			}
			r.answer(p, action, l.At)
		}
	}
}

func (r *Record) declare(c capabilities, who implementation) {
	r.Declares = c.modes()
	r.Agent = who.Name + " " + who.Version
}

// call is the one that a request is of: a new one, or one that was answered
// with a prompt and comes back.
func (r *Record) call(l Line, p params) *Call {
	if p.RequestState != "" || p.InputResponses != nil {
		for _, c := range slices.Backward(r.Calls) {
			if c.state != p.RequestState || !c.Ended.IsZero() {
				continue
			}
			c.Requests++
			for key, response := range p.InputResponses {
				for _, q := range slices.Backward(r.Prompts) {
					if q.key == key && q.state == c.state && q.Answer == "" {
						r.answer(q, response.Action, l.At)
						break
					}
				}
			}
			return c
		}
	}
	c := &Call{Process: l.Process, Began: l.At, Requests: 1}
	r.Calls = append(r.Calls, c)
	return c
}

func (r *Record) answer(p *Prompt, action string, at time.Time) {
	p.Answer, p.After = action, at.Sub(p.At)
	if r.Answered != nil {
		r.Answered(p)
	}
}

func (r *Record) server(l Line, m message, key func(Speaker, json.RawMessage) string) {
	switch m.Method {
	case "elicitation/create":
		r.open[key(Server, m.ID)] = r.prompt(l, m.Params.elicitation, "", "")
	case "notifications/progress":
		r.sight(l, "progress", nil, m.Params.Message)
	case "":
		switch o := r.open[key(Agent, m.ID)].(type) {
		case string:
			if m.Result != nil {
				r.Protocol = m.Result.ProtocolVersion
			}
		case *Call:
			r.outcome(l, o, m)
		}
	}
}

func (r *Record) outcome(l Line, c *Call, m message) {
	switch {
	case m.Error != nil:
		c.Ended, c.Failed, c.Text = l.At, true, m.Error.Message
	case m.Result == nil:
	case m.Result.ResultType == "input_required":
		c.state = m.Result.RequestState
		for key, request := range m.Result.InputRequests {
			if request.Method == "elicitation/create" {
				r.prompt(l, request.Params, key, c.state)
			}
		}
	default:
		c.Ended, c.Failed, c.Text = l.At, m.Result.IsError, m.Result.text()
		meta(m.Result.Meta, metaReason, &c.Reason)
		r.sight(l, "text", nil, c.Text)
	}
}

func (r *Record) prompt(l Line, e elicitation, key, state string) *Prompt {
	if e.Mode == "" {
		e.Mode = "form"
	}
	p := &Prompt{Mode: e.Mode, At: l.At, key: key, state: state}
	r.Prompts = append(r.Prompts, p)
	r.sight(l, e.Mode, p, e.URL+" \n "+e.Message)
	return p
}
