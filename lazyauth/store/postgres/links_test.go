package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

const hour = time.Hour

// wantAdvice checks that an error says which server, what to do, and no password.
func wantAdvice(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, word := range append(words, "PostgreSQL at ") {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v: there is nothing of %q in it", err, word)
		}
	}
	if strings.Contains(err.Error(), server.Password()) {
		t.Errorf("%v: there is the password in it", err)
	}
}

// put makes a row, and returns it.
func put(t *testing.T, s store.Shared, id store.ID, content string) *store.Row {
	t.Helper()
	if ok, err := s.Insert(t.Context(), id, store.Change{Generation: 1, Content: []byte(content)}); err != nil || !ok {
		t.Fatalf("Insert: %t, %v", ok, err)
	}
	return get(t, s, id)
}

func get(t *testing.T, s store.Shared, id store.ID) *store.Row {
	t.Helper()
	row, err := s.Read(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// A cut is told from an answer, and over when the link is back.
func TestLink_Cut(t *testing.T) {
	p := newPlace(t)
	db := p.open()
	put(t, db, grant(1), "before")
	p.link.Cut()
	_, err := db.Read(t.Context(), grant(1))
	if !errors.Is(err, store.ErrNoAnswer) {
		t.Errorf("Read: %v; want an ErrNoAnswer", err)
	}
	wantAdvice(t, err, "connection")
	p.link.Restore()
	eventually(t, "it answers", func() bool { _, err := db.Read(t.Context(), grant(1)); return err == nil })
	if row := get(t, db, grant(1)); string(row.Content) != "before" {
		t.Errorf("afterwards: %+v", row)
	}
}

// Connections that have ended meanwhile (a server that was restarted, a firewall) cost a reader nothing.
func TestLink_Broken(t *testing.T) {
	p := newPlace(t)
	db := p.open()
	put(t, db, grant(1), "before")
	for range 5 {
		p.link.Break()
		if _, err := db.Read(t.Context(), grant(1)); err != nil {
			t.Errorf("Read after a connection has ended: %v", err)
		}
	}
}

// A write whose answer is lost is not known to be written, is not repeated, and can be looked up.
func TestLink_AnswerLost(t *testing.T) {
	p := newPlace(t)
	p.opts.Timeout = 2 * time.Second
	db := p.open()
	row := put(t, db, grant(0), "the statements are prepared")
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
	switch {
	case now.Generation == 1 && string(now.Content) == "before": // it never got there, over a connection that was made for it
	case now.Generation == 2 && string(now.Content) == "after":
		if again, err := db.Write(t.Context(), grant(1), row.Fence, 1, store.Change{Generation: 2, Content: []byte("twice")}); err != nil || again {
			t.Errorf("written again: %t, %v", again, err)
		}
	default:
		t.Errorf("afterwards: %+v", now)
	}
}

// A silent server is waited for as long as Options.Timeout says, and no longer.
func TestLink_Silent(t *testing.T) {
	p := newPlace(t)
	p.opts.Timeout = 500 * time.Millisecond
	db := p.open()
	put(t, db, grant(1), "before")
	p.link.Drop()
	_, err := db.Read(t.Context(), grant(1))
	if !errors.Is(err, store.ErrNoAnswer) {
		t.Errorf("Read: %v; want an ErrNoAnswer", err)
	}
	wantAdvice(t, err, "Options.Timeout")
}

// A slow link is slow, and that is all.
func TestLink_Slow(t *testing.T) {
	p := newPlace(t)
	db := p.open()
	p.link.Delay(20 * time.Millisecond)
	row := put(t, db, grant(1), "slow")
	if ok, err := db.Write(t.Context(), grant(1), row.Fence, 1, store.Change{Generation: 2, Content: []byte("slower")}); err != nil || !ok {
		t.Errorf("Write: %t, %v", ok, err)
	}
}
