package redis_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A cut is told from an answer, and over when the link is back.
func TestLink_Cut(t *testing.T) {
	p := newPlace(t, server)
	db := p.open()
	put(t, db, grant(1), "before")
	p.link.Cut()
	_, err := db.Read(t.Context(), grant(1))
	if !errors.Is(err, store.ErrNoAnswer) {
		t.Errorf("Read: %v; want an ErrNoAnswer", err)
	}
	wantAdvice(t, err, "127.0.0.1")
	p.link.Restore()
	eventually(t, "it answers", func() bool { _, err := db.Read(t.Context(), grant(1)); return err == nil })
	if row := get(t, db, grant(1)); string(row.Content) != "before" {
		t.Errorf("afterwards: %+v", row)
	}
}

// A write whose answer is lost is not known to be written, is not repeated, and can be looked up.
func TestLink_AnswerLost(t *testing.T) {
	p := newPlace(t, server)
	db := p.open()
	row := put(t, db, grant(0), "the server has the scripts")
	if ok, err := db.Write(t.Context(), grant(0), row.Fence, 1, store.Change{Generation: 2}); err != nil || !ok {
		t.Fatalf("Write: %t, %v", ok, err)
	}
	row = put(t, db, grant(1), "before")
	p.link.Unanswered()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	written, err := db.Write(ctx, grant(1), row.Fence, 1, store.Change{Generation: 2, Content: []byte("after")})
	if written || !errors.Is(err, store.ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Write: %t, %v; want an ErrNoAnswer", written, err)
	}
	p.link.Restore()
	var now *store.Row
	eventually(t, "it answers", func() bool { now, err = db.Read(t.Context(), grant(1)); return err == nil })
	if now.Generation != 2 || string(now.Content) != "after" {
		t.Errorf("afterwards: %+v", now)
	}
	if again, err := db.Write(t.Context(), grant(1), row.Fence, 1, store.Change{Generation: 2, Content: []byte("twice")}); err != nil || again {
		t.Errorf("written again: %t, %v", again, err)
	}
}

// A silent server is waited for as long as Options.Timeout says, and no longer.
func TestLink_Silent(t *testing.T) {
	p := newPlace(t, server)
	p.opts.Timeout = 500 * time.Millisecond
	db := p.open()
	put(t, db, grant(1), "before")
	p.link.Drop()
	_, err := db.Read(t.Context(), grant(1))
	if !errors.Is(err, store.ErrNoAnswer) {
		t.Errorf("Read: %v; want an ErrNoAnswer", err)
	}
	wantAdvice(t, err)
}

// A slow link is slow, and that is all.
func TestLink_Slow(t *testing.T) {
	p := newPlace(t, server)
	db := p.open()
	p.link.Delay(20 * time.Millisecond)
	row := put(t, db, grant(1), "slow")
	if ok, err := db.Write(t.Context(), grant(1), row.Fence, 1, store.Change{Generation: 2, Content: []byte("slower")}); err != nil || !ok {
		t.Errorf("Write: %t, %v", ok, err)
	}
}
