package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

const (
	maxHints    = 1000 // that wait to be sent
	leastPause  = 100 * time.Millisecond
	longestWait = 10 * time.Second // between two attempts to connect
)

// hints are sent apart from the statements that cause them, many at once: a transaction that notifies
// holds a lock of the whole server while it commits, so that there would be one write at a time.
type hints struct {
	wake chan struct{} // has room for one

	mu      sync.Mutex
	waiting map[store.ID]struct{}
	lost    bool // some were
}

func (h *hints) add(id store.ID) {
	h.mu.Lock()
	if len(h.waiting) >= maxHints {
		h.lost = true
	} else {
		if h.waiting == nil {
			h.waiting = make(map[store.ID]struct{})
		}
		h.waiting[id] = struct{}{}
	}
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// take returns what is to be sent. A text without anything says that some were lost.
func (h *hints) take() (texts []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.waiting {
		texts = append(texts, id.Kind+":"+hex.EncodeToString(id.Key[:]))
	}
	if h.lost {
		texts = append(texts, "")
	}
	h.waiting, h.lost = nil, false
	return texts
}

// sendHints runs until the DB is closed, and then sends what there is.
func (d *DB) sendHints(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-d.hints.wake:
		case <-ctx.Done():
		}
		if texts := d.hints.take(); len(texts) > 0 {
			sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			err := d.run(sending, writes, func(ctx context.Context, conn *pgxpool.Conn) error {
				_, err := conn.Exec(ctx, d.sql.notify, d.channel, texts)
				return err
			})
			cancel()
			if err != nil { // whoever listens is told with the next ones
				d.hints.mu.Lock()
				d.hints.lost = true
				d.hints.mu.Unlock()
			}
		}
	}
}

func parseHint(text string) store.ID {
	kind, key, _ := strings.Cut(text, ":")
	id := store.ID{Kind: kind}
	if n, err := hex.Decode(id.Key[:], []byte(key[:min(len(key), 2*store.HashSize)])); err != nil || n != store.HashSize || len(key) != 2*n {
		return store.ID{}
	}
	return id
}

// Watch implements [store.Shared]. It takes a connection of its own, and connects again for as long as
// it takes. Its hints are of all that was written, also by this DB.
func (d *DB) Watch(ctx context.Context, changed func(store.ID)) error {
	if d.listen == nil {
		return d.trouble(store.ErrUnavailable, "a pooler passes no notifications on: set Options.ListenURL, or do without hints", nil)
	}
	pause := leastPause
	for first := true; ; first = false {
		err := d.watchOnce(ctx, changed, func() {
			if !first {
				changed(store.ID{})
			}
			pause = leastPause
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := d.failed(ctx, err); errors.Is(err, store.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // no secret: it spreads the load
		}
		pause = min(2*pause, longestWait)
	}
}

// watchOnce listens by one connection until that is lost, which it returns as an error.
func (d *DB) watchOnce(ctx context.Context, changed func(store.ID), listening func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	conn, err := d.dial(ctx)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	listening()
	for {
		waiting, cancel := context.WithTimeout(ctx, 3*d.timeout) // then it is asked whether it lives
		hint, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil:
			changed(parseHint(hint.Payload))
		case ctx.Err() != nil || waiting.Err() == nil || conn.IsClosed():
			return err
		default: // a link that was cut tells nobody
			asking, cancel := context.WithTimeout(ctx, d.timeout)
			err := conn.Ping(asking)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

// dial connects and listens.
func (d *DB) dial(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errSlow)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, d.listen)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{d.channel}.Sanitize()); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}
