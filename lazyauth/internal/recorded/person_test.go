package recorded_test

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// sees is what the person does when a prompt is before their eyes: they read where to go and
// what to enter, and do so after the story's time, once, if they are willing. They know
// nothing but what they read. d.mu is held.
func (d *double) sees(text, link string, willing bool) {
	d.seen++
	code := world.UserCode.FindString(text)
	_, page, _ := strings.Cut(d.w.AS.Issuer(), "://")
	switch {
	case code == "" || !strings.Contains(text, "Notes"):
		d.t.Errorf("the person cannot sign in with what they see: %q", text)
	case link == "" && !strings.Contains(text, page+"/device"):
		d.t.Errorf("the person is not told where to go: %q", text)
	case link != "" && link != d.w.AS.Issuer()+"/device":
		d.t.Errorf("the link goes to %q", link)
	}
	if !willing || d.decided || d.story.person == 0 {
		return
	}
	d.decided = true
	d.wg.Go(func() {
		select {
		case <-time.After(d.story.person):
		case <-d.ended:
			return
		}
		if err := d.w.AS.Approve(code); err != nil {
			d.t.Errorf("approving what the person saw: %v", err)
		}
		close(d.approved)
	})
}

// model makes a call, and does with its result what models do.
func (d *double) model(call rpc, id int) {
	for range 8 {
		end, text := d.call(call, id)
		id = 0 // but the first has a new one
		d.mu.Lock()
		d.ends = append(d.ends, end)
		code := world.UserCode.MatchString(text)
		if code {
			d.channels = append(d.channels, "text")
			d.sees(text, "", true)
		}
		if end == ok {
			d.handled[call.Params.Name]++
		}
		promised := d.decided
		d.mu.Unlock()
		switch end {
		case string(lazyauth.ReasonPending):
			if promised && !d.story.insists {
				select {
				case <-d.approved:
				case <-time.After(time.Hour):
					d.t.Error("nobody approves")
					return
				}
			}
			world.Later(time.Second)
		case gaveUp:
			world.Later(time.Second)
		default:
			return
		}
	}
	d.t.Error("the model called again and again")
}

// call makes one call, with all its round trips, and returns its end and its text. An id
// of 0 means a new one.
func (d *double) call(call rpc, id int) (end, text string) {
	var interrupt <-chan time.Time
	d.mu.Lock()
	if gives := d.c.gives; gives != nil && !d.broken && (d.habits.limit == 0 || gives.after < d.habits.limit) {
		interrupt = time.After(gives.after)
	}
	d.mu.Unlock()
	state, responses := "", map[string]said(nil)
	for {
		l := d.newRequest(call, id, state, responses)
		id = 0
		m, end := d.wait(l, interrupt)
		if end != "" {
			return end, ""
		}
		switch {
		case m.Error != nil:
			d.t.Errorf("a call got error %d", m.Error.Code)
			return "error " + strconv.Itoa(m.Error.Code), ""
		case m.Result.ResultType != "input_required":
			d.afterthink(l)
			reason, _ := m.Result.Meta[lazyauth.MetaReason].(string)
			if !m.Result.IsError {
				reason = ok
				if !strings.Contains(m.text(), "Ada") {
					d.t.Errorf("the call returned %q", m.text())
				}
			}
			return reason, m.text()
		}
		state, responses = m.Result.RequestState, make(map[string]said)
		for key, request := range m.Result.InputRequests {
			d.mu.Lock()
			react := d.prompt(request.Params)
			d.mu.Unlock()
			world.Later(react.after)
			responses[key] = said{react.action}
		}
	}
}

// afterthink cancels what has been answered, if the host does that.
func (d *double) afterthink(l *request) {
	if a := d.c.afterthought; a != nil {
		d.wg.Go(func() {
			world.Later(a.after)
			d.cancel(a.rpc, l)
		})
	}
}

// newRequest makes one request of a call: what was recorded, less what is different in each.
func (d *double) newRequest(call rpc, id int, state string, responses map[string]said) *request {
	d.mu.Lock()
	if id == 0 {
		d.lastID++
		id = d.lastID
	}
	d.mu.Unlock()
	params := paramsOf(call)
	recorded, _ := strconv.Atoi(string(call.ID))
	if meta, ok := params["_meta"].(map[string]any); ok && id != recorded {
		meta = maps.Clone(meta)
		switch token := meta["progressToken"].(type) {
		case float64: // they count, too
			meta["progressToken"] = token + float64(id-recorded)
		case string:
			meta["progressToken"] = token[:len(token)-4] + strconv.Itoa(1000+id)
		}
		params["_meta"] = meta
	}
	if state != "" {
		params["requestState"], params["inputResponses"] = state, responses
	}
	meta, _ := params["_meta"].(map[string]any)
	l := d.expect(strconv.Itoa(id), inJSON(meta["progressToken"]))
	d.say(map[string]any{"jsonrpc": "2.0", "id": id, "method": call.Method, "params": params})
	return l
}

func paramsOf(m rpc) map[string]any {
	var whole struct {
		Params map[string]any `json:"params"`
	}
	json.Unmarshal(m.raw, &whole)
	return whole.Params
}

// wait waits for the answer to a request, for as long as the host does, or until the person
// interrupts it. Then it sends what was recorded in such a case, if anything.
func (d *double) wait(l *request, interrupt <-chan time.Time) (m rpc, end string) {
	limit := make(<-chan time.Time)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	wind := func() {
		if d.habits.limit != 0 {
			timer.Reset(d.habits.limit)
			limit = timer.C
		}
	}
	for wind(); ; {
		select {
		case m := <-l.reply:
			return m, ""
		case <-l.progress:
			if d.habits.extends {
				wind()
			}
		case <-limit:
			if d.habits.pauses && d.dialogOpen() {
				wind()
				continue
			}
			if gives := d.c.gives; gives != nil {
				world.Later(max(0, gives.after-d.habits.limit))
			}
			d.giveUp(l)
			return m, gaveUp
		case <-interrupt:
			d.mu.Lock()
			d.broken = true
			d.mu.Unlock()
			d.giveUp(l)
			return m, interrupted
		}
	}
}

func (d *double) dialogOpen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, dialog := range d.dialogs {
		if !dialog.answered && dialog.closed.Err() == nil {
			return true
		}
	}
	return false
}

func (d *double) giveUp(l *request) {
	if d.c.gives == nil {
		return // nobody is told
	}
	for _, m := range d.c.gives.messages {
		d.cancel(m, l)
	}
}

// cancel sends a recorded cancellation, of this request.
func (d *double) cancel(m rpc, l *request) {
	params := paramsOf(m)
	params["requestId"] = json.RawMessage(l.id)
	d.say(map[string]any{"jsonrpc": "2.0", "method": m.Method, "params": params})
}
