package enginetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// LinkCut tells of a cut: it is told from an answer, and over when the link is back.
func LinkCut(t *testing.T, p Place) {
	s := p.Open(t)
	Put(t, s, Grant(1), "before")
	p.Link.Cut()
	_, err := s.Read(t.Context(), Grant(1))
	if !errors.Is(err, store.ErrNoAnswer) {
		t.Errorf("Read: %v; want an ErrNoAnswer", err)
	}
	p.WantAdvice(t, err, "connection")
	p.Link.Restore()
	Eventually(t, "it answers", func() bool { _, err := s.Read(t.Context(), Grant(1)); return err == nil })
	if row := Get(t, s, Grant(1)); row == nil || string(row.Content) != "before" {
		t.Errorf("afterwards: %+v", row)
	}
}

// LinkBroken tells of connections that have ended meanwhile (a server that was restarted, a firewall): they cost a
// reader nothing.
func LinkBroken(t *testing.T, p Place) {
	s := p.Open(t)
	Put(t, s, Grant(1), "before")
	for range 5 {
		p.Link.Break()
		if _, err := s.Read(t.Context(), Grant(1)); err != nil {
			t.Errorf("Read after a connection has ended: %v", err)
		}
	}
}

// LinkAnswerLost tells of a write whose answer is lost: it is not known to be written, is not repeated, and can be
// looked up.
func LinkAnswerLost(t *testing.T, p Place) {
	s := p.Open(t)
	row := Put(t, s, Grant(0), "the server knows the statements")
	if ok, err := s.Write(t.Context(), Grant(0), row.Fence, 1, store.Change{Generation: 2}); err != nil || !ok {
		t.Fatalf("Write: %t, %v", ok, err)
	}
	row = Put(t, s, Grant(1), "before")
	p.Link.Unanswered()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	written, err := s.Write(ctx, Grant(1), row.Fence, 1, store.Change{Generation: 2, Content: []byte("after")})
	if written || !errors.Is(err, store.ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Write: %t, %v; want an ErrNoAnswer", written, err)
	}
	p.Link.Restore()
	var now *store.Row
	Eventually(t, "it answers", func() bool { now, err = s.Read(t.Context(), Grant(1)); return err == nil })
	switch {
	case now.Generation == 1 && string(now.Content) == "before": // it never got there, over a connection that was made for it
	case now.Generation == 2 && string(now.Content) == "after":
		if again, err := s.Write(t.Context(), Grant(1), row.Fence, 1, store.Change{Generation: 2, Content: []byte("twice")}); err != nil || again {
			t.Errorf("written again: %t, %v", again, err)
		}
	default:
		t.Errorf("afterwards: %+v", now)
	}
}

// LinkSilent tells of a silent server: it is waited for as long as the engine was told, and no longer.
func LinkSilent(t *testing.T, p Place) {
	Put(t, p.Open(t), Grant(1), "before")
	s := p.Impatient(t, 500*time.Millisecond)
	p.Link.Drop()
	_, err := s.Read(t.Context(), Grant(1))
	if !errors.Is(err, store.ErrNoAnswer) {
		t.Errorf("Read: %v; want an ErrNoAnswer", err)
	}
	p.WantAdvice(t, err)
}

// LinkSlow tells of a slow link: it is slow, and that is all.
func LinkSlow(t *testing.T, p Place) {
	s := p.Open(t)
	p.Link.Delay(20 * time.Millisecond)
	row := Put(t, s, Grant(1), "slow")
	if ok, err := s.Write(t.Context(), Grant(1), row.Fence, 1, store.Change{Generation: 2, Content: []byte("slower")}); err != nil || !ok {
		t.Errorf("Write: %t, %v", ok, err)
	}
}
