package wire_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// What a host says is kept up to a limit of each message, of all bytes, and of all
// messages.
func TestRecord_Bounds(t *testing.T) {
	long := []byte(`{"jsonrpc":"2.0","method":"` + strings.Repeat("x", 1<<20-100) + `"}`)
	for name, message := range map[string][]byte{"bytes": long, "messages": []byte(`{"jsonrpc":"2.0","method":"x"}`)} {
		t.Run(name, func(t *testing.T) {
			r := wire.NewRecord()
			n := 0
			for ; n < 10_000 && r.Received(1, message, nil) != nil; n++ {
				if r.Flooded() {
					t.Fatal("a message that was taken floods")
				}
			}
			if n == 0 || n == 10_000 || !r.Flooded() {
				t.Errorf("%d messages were taken", n)
			}
			size := 0
			for _, e := range r.Events() {
				size += len(e.Message) + len(e.Text)
			}
			if size > 9<<20 {
				t.Errorf("%d bytes are kept", size)
			}
		})
	}
}

// A message is an event, as JSON or as text that can be shown.
func TestRecord_Received(t *testing.T) {
	r := wire.NewRecord()
	changed := r.Changed()
	l := r.Received(3, []byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`), nil)
	select {
	case <-changed:
	default:
		t.Error("nobody is told")
	}
	bad := r.Received(3, []byte("\x00 no \xff JSON"), nil)
	if l.Kind != wire.Request || l.Conn != 3 || bad.Kind != wire.Garbage {
		t.Errorf("%+v %+v", l, bad)
	}
	events := r.Events()
	if len(events) != 2 || events[0].From != wire.Host || !bytes.Equal(events[l.Event].Message, l.Raw) ||
		events[bad.Event].Message != nil || events[bad.Event].Text != "· no � JSON" {
		t.Errorf("%+v", events)
	}
	r.Decided("A1", []int{l.Event, -1, 99})
	r.Decided("A1", []int{l.Event})
	r.Decided("B2", []int{l.Event})
	if got := r.Events()[l.Event].Checks; !slices.Equal(got, []string{"A1", "B2"}) {
		t.Errorf("it decided %q", got)
	}
}

// What was said in another conversation is an event of this one, and not a message.
func TestRecord_Repeat(t *testing.T) {
	before, r := wire.NewRecord(), wire.NewRecord()
	before.Note(0, "first")
	l := before.Received(7, []byte(`{"jsonrpc":"2.0","id":1,"method":"initialize"}`), nil)
	again := r.Repeat(l)
	if again.Event != 0 || l.Event != 1 || again.Method != "initialize" || len(r.Events()) != 1 || len(r.Lines()) != 0 {
		t.Errorf("%+v, events %+v", again, r.Events())
	}
}
