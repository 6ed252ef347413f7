package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/storetest"
)

func newPooler(t *testing.T) *engines.PgBouncer {
	t.Helper()
	pooler, err := engines.StartPgBouncer(t.Context(), folder(t), server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pooler.Stop(context.WithoutCancel(t.Context())) })
	return pooler
}

// Behind a pooler that gives each statement another session the contract holds; hints come past it.
func TestShared_Pooled(t *testing.T) {
	pooler := newPooler(t)
	storetest.RunShared(t, func(t *testing.T) storetest.SharedSubject {
		p := newPlace(t)
		p.opts.Pooled, p.opts.ListenURL = true, server.URL("", "postgres")
		return storetest.SharedSubject{Open: func() (store.Shared, error) {
			db, err := postgres.Open(t.Context(), pooler.URL("postgres"), &p.opts)
			if err == nil {
				t.Cleanup(db.Close)
			}
			return db, err
		}}
	})
}

// Without a way past the pooler there are no hints, and who asks for some is told; the rest works, the
// simple protocol included, which is what the oldest poolers want.
func TestPooled_NoListen(t *testing.T) {
	pooler := newPooler(t)
	p := newPlace(t)
	p.opts.Pooled = true
	for _, url := range []string{pooler.URL("postgres"), pooler.URL("postgres") + "?default_query_exec_mode=simple_protocol"} {
		db, err := postgres.Open(t.Context(), url, &p.opts)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Watch(t.Context(), func(store.ID) {}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Watch: %v; want an ErrUnavailable", err)
		}
		content := "it's \\ \x00 \xff $1"
		for n := range 20 { // over sessions that change
			id := enginetest.Grant(n)
			if _, fence, err := db.Begin(t.Context(), id, store.Attempt{Owner: "it's me", Lease: enginetest.Long}); err != nil || fence == 0 {
				t.Fatalf("Begin: %d, %v", fence, err)
			} else if ok, err := db.Write(t.Context(), id, fence, 0, store.Change{Generation: 1, Content: []byte(content)}); err != nil || !ok {
				t.Fatalf("Write: %t, %v", ok, err)
			}
			if row, err := db.Read(t.Context(), id); err != nil || string(row.Content) != content {
				t.Fatalf("Read: %+v, %v", row, err)
			}
			if err := db.Delete(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Whoever forgets to say that there is a pooler is told to.
func TestPooled_NotSaid(t *testing.T) {
	pooler := newPooler(t)
	p := newPlace(t)
	_, err := postgres.Open(t.Context(), pooler.URL("postgres"), &p.opts)
	if !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("Open: %v; want an ErrUnavailable", err)
	}
	wantAdvice(t, err, "Options.Pooled")
}
