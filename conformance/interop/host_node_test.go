package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// A nodeHost is a host in a process of its own: see hosts/harness.mjs for what
// is said to it.
type nodeHost struct {
	*child
	prompts chan<- prompt
	done    chan struct{} // closed when its output has ended

	mu      sync.Mutex
	last    int
	waiting map[int]chan nodeEvent
}

type nodeEvent struct {
	Ready  bool            `json:"ready"`
	Prompt *prompt         `json:"prompt"`
	ID     int             `json:"id"`
	Tools  []string        `json:"tools"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
	Code   int             `json:"code"` // of an error of the protocol
}

// startNodeHost returns a function that starts a TypeScript host.
func startNodeHost(script string) func(context.Context, hostOptions) (host, error) {
	return func(ctx context.Context, o hostOptions) (host, error) {
		task, err := json.Marshal(map[string]any{
			"command": o.command, "args": o.args,
			"name": o.name, "reach": o.reach, "modern": o.era == modern,
			"refuses": o.refuses, "deciding": deciding.Milliseconds(), "patience": patience.Milliseconds(),
		})
		if err != nil {
			return nil, err
		}
		c, err := startChild(ctx, script, "node", script, string(task))
		if err != nil {
			return nil, err
		}
		h := &nodeHost{child: c, prompts: o.prompts, done: make(chan struct{}), waiting: map[int]chan nodeEvent{}}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		var first nodeEvent
		err = c.receive(ctx, &first)
		if err == nil && !first.Ready {
			err = fmt.Errorf("%s began with %+v", script, first)
		}
		if err != nil {
			return nil, errors.Join(err, c.end())
		}
		go h.listen()
		return h, nil
	}
}

// listen owns the host's output until it ends.
func (h *nodeHost) listen() {
	defer close(h.done)
	for line := range h.lines {
		var event nodeEvent
		if err := json.Unmarshal(line, &event); err != nil {
			event.Error = fmt.Sprintf("%s printed %q: %v", h.name, line, err)
		}
		if event.Prompt != nil {
			h.prompts <- *event.Prompt
			continue
		}
		h.mu.Lock()
		waiting := h.waiting[event.ID]
		delete(h.waiting, event.ID)
		h.mu.Unlock()
		if waiting != nil {
			waiting <- event
		}
	}
}

// ask sends a command and waits for its outcome.
func (h *nodeHost) ask(ctx context.Context, command map[string]any) (nodeEvent, error) {
	answer := make(chan nodeEvent, 1)
	h.mu.Lock()
	h.last++
	command["id"] = h.last
	h.waiting[h.last] = answer
	h.mu.Unlock()
	if err := h.send(command); err != nil {
		return nodeEvent{}, fmt.Errorf("%w\n%s", err, h.stderr.String())
	}
	select {
	case event := <-answer:
		if event.Code != 0 {
			return event, &protocolError{event.Code, event.Error}
		}
		if event.Error != "" {
			return event, errors.New(event.Error)
		}
		return event, nil
	case <-h.done:
		return nodeEvent{}, fmt.Errorf("%s: %w\n%s", h.name, io.ErrUnexpectedEOF, h.stderr.String())
	case <-ctx.Done():
		return nodeEvent{}, context.Cause(ctx)
	}
}

func (h *nodeHost) tools(ctx context.Context) ([]string, error) {
	event, err := h.ask(ctx, map[string]any{"list": true})
	return event.Tools, err
}

func (h *nodeHost) call(ctx context.Context, tool string, arguments map[string]any) (r result, err error) {
	event, err := h.ask(ctx, map[string]any{"call": tool, "arguments": arguments})
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(event.Result, &r)
}

func (h *nodeHost) close() error {
	err := h.end()
	<-h.done
	return err
}
