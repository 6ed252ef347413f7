package agents

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// driveAppServer runs Codex's app server as an editor does: it opens a thread,
// has it do the task, and shows the person what the server asks.
func driveAppServer(ctx context.Context, s *Session, l launch) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := s.command(ctx, l, l.command)
	cmd.Stderr = s.Log
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	e := &editor{session: s, end: cancel, in: in, answers: make(map[int]chan answered)}
	failed := make(chan error, 1)
	go func() { failed <- e.do(ctx) }()
	e.listen(ctx, out)
	cancel() // it has ended, or wants to
	_ = cmd.Wait()
	e.dialogs.Wait()
	return <-failed
}

// An editor is the app server's client.
type editor struct {
	session *Session
	end     func() // ends the app server
	dialogs sync.WaitGroup

	mu      sync.Mutex // of what follows, and of writing
	in      io.WriteCloser
	last    int
	answers map[int]chan answered
}

// A notice is a message of the app server, which leaves out "jsonrpc".
type notice struct {
	ID     json.RawMessage
	Method string
	Params json.RawMessage
	answered
}

type answered struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// do has the task done. The app server is told to end by the end of its input,
// once the turn is over.
func (e *editor) do(ctx context.Context) error {
	if _, err := e.call(ctx, "initialize", object{
		"clientInfo": object{"name": "lazyauth-agents", "version": "1.0.0"}, "capabilities": object{"experimentalApi": true},
	}); err != nil {
		return err
	}
	e.send(object{"method": "initialized"})
	raw, err := e.call(ctx, "thread/start", object{"cwd": e.session.work, "approvalPolicy": "on-request"})
	if err != nil {
		return err
	}
	var begun struct{ Thread struct{ ID string } }
	if err := json.Unmarshal(raw, &begun); err != nil {
		return err
	}
	_, err = e.call(ctx, "turn/start", object{
		"threadId": begun.Thread.ID, "input": []object{{"type": "text", "text": task}},
	})
	return err
}

func (e *editor) call(ctx context.Context, method string, params object) (json.RawMessage, error) {
	answer := make(chan answered, 1)
	e.mu.Lock()
	e.last++
	id := e.last
	e.answers[id] = answer
	e.mu.Unlock()
	e.send(object{"id": id, "method": method, "params": params})
	select {
	case a := <-answer:
		if a.Error != nil {
			return nil, fmt.Errorf("app server: %s: %s", method, a.Error.Message)
		}
		return a.Result, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("app server: %s: %w", method, context.Cause(ctx))
	}
}

func (e *editor) send(m object) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fmt.Fprintln(e.in, encoded(m))
}

// listen reads what the app server says until it says no more.
func (e *editor) listen(ctx context.Context, out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprint(e.session.Log, line)
		var n notice
		if json.Unmarshal([]byte(line), &n) != nil {
			continue
		}
		switch {
		case n.Method == "" && n.ID != nil:
			e.answer(n)
		case strings.Contains(strings.ToLower(n.Method), "elicit") && n.ID != nil:
			e.dialogs.Go(func() { e.ask(ctx, n) })
		case n.ID != nil:
			e.send(object{"id": n.ID, "result": object{"decision": "accept"}})
		case n.Method == "turn/completed":
			e.close()
		}
	}
}

// quits is how long the app server may take to end after an editor that quits has closed its input.
const quits = 3 * time.Second

// close tells the app server to end.
func (e *editor) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.in.Close()
}

func (e *editor) answer(n notice) {
	var id int
	if json.Unmarshal(n.ID, &id) != nil {
		return
	}
	e.mu.Lock()
	answer := e.answers[id]
	delete(e.answers, id)
	e.mu.Unlock()
	if answer != nil {
		answer <- n.answered
	}
}

// ask shows a prompt to the person, and gives the app server their answer.
func (e *editor) ask(ctx context.Context, n notice) {
	var p struct{ Mode, Message, URL string }
	if json.Unmarshal(n.Params, &p) != nil {
		return
	}
	action, err := e.session.Ask(ctx, p.Mode, p.Message, p.URL)
	if errors.Is(err, ErrQuit) {
		e.close()
		time.AfterFunc(quits, e.end) // in the middle of a call the end of its input is not always enough
	}
	if err != nil {
		return // the person has gone, or there is no time left
	}
	result := object{"action": action, "content": nil}
	if action == "accept" && p.Mode != "url" {
		result["content"] = object{}
	}
	e.send(object{"id": n.ID, "result": result})
}
