package rotate_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/rotate"
)

var (
	namesKey = bytes.Repeat([]byte("n4m3"), 8)
	sealKey  = bytes.Repeat([]byte("s3al"), 8)
	nextKey  = bytes.Repeat([]byte("n3xt"), 8)
)

// A place is rows in memory, at the URL memory://here.
type place struct {
	t    *testing.T
	rows store.Shared
}

func newPlace(t *testing.T) *place { return &place{t, store.NewSharedMemory(nil)} }

func (p *place) fleet(format int, keys ...[]byte) *store.Fleet {
	p.t.Helper()
	f, err := store.NewFleet(p.rows, namesKey, keys, &store.FleetOptions{Format: format})
	if err != nil {
		p.t.Fatal(err)
	}
	return f
}

// rotates runs the command with these keys in its environment, and returns what it writes.
func (p *place) rotates(ctx context.Context, keys string, args ...string) (string, error) {
	closed := 0
	engine := rotate.Engine{URLVariable: "ROWS_URL", Flags: func(flags *flag.FlagSet) func(context.Context, string) (store.Shared, func(), error) {
		fails := flags.Bool("fails", false, "")
		return func(_ context.Context, url string) (store.Shared, func(), error) {
			if *fails || url != "memory://here" {
				return nil, nil, errors.New("there is nothing")
			}
			closed--
			return p.rows, func() { closed++ }, nil
		}
	}}
	var out strings.Builder
	err := rotate.Run(ctx, engine, args, func(name string) string {
		return map[string]string{"ROWS_URL": "memory://here", rotate.KeysVariable: keys}[name]
	}, &out)
	if closed != 0 {
		p.t.Error("it has left the store open")
	}
	return out.String(), err
}

func encoded(keys ...[]byte) string {
	var all []string
	for _, key := range keys {
		all = append(all, base64.StdEncoding.EncodeToString(key))
	}
	return strings.Join(all, ",")
}

func put(f *store.Fleet, key string) error {
	return f.Update(context.Background(), key, func([]byte) ([]byte, error) { return []byte("the record"), nil })
}

// A key is replaced, and then a format, and all rows are sealed anew; then there is nothing to do.
func TestRotate(t *testing.T) {
	p := newPlace(t)
	for n := range 3 {
		if err := put(p.fleet(store.Format1, sealKey), fmt.Sprint("key ", n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		keys, said string
		args       []string
	}{
		{encoded(nextKey, sealKey), "sealed anew: 3, left: 0\n", nil},
		{encoded(nextKey), "sealed anew: 0, left: 0\n", nil},
		{encoded(nextKey), "sealed anew: 3, left: 0\n", []string{"-format", "2"}},
		{" " + encoded(nextKey), "sealed anew: 3, left: 0\n", []string{"-format", "1"}},
	} {
		if said, err := p.rotates(t.Context(), step.keys, step.args...); err != nil || said != step.said {
			t.Errorf("%q: %q, %v", step.args, said, err)
		}
		if record, err := p.fleet(0, nextKey).Load(t.Context(), "key 1"); err != nil || string(record) != "the record" {
			t.Fatalf("%q, %v", record, err)
		}
	}
}

// What a machine works on is left to it, and waited for.
func TestRotate_WorkedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		old := p.fleet(store.Format1, sealKey)
		if err := put(old, "alice"); err != nil {
			t.Fatal(err)
		}
		goesOn := make(chan struct{})
		worked := make(chan error, 1)
		go func() {
			worked <- old.Update(t.Context(), "alice", func(record []byte) ([]byte, error) { <-goesOn; return append(record, '!'), nil })
		}()
		synctest.Wait()
		keys := encoded(nextKey, sealKey)
		if said, err := p.rotates(t.Context(), keys, "-wait", "0s"); err == nil || !strings.Contains(err.Error(), "the 1 that are left") || said != "sealed anew: 0, left: 1\n" {
			t.Errorf("%q, %v", said, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if said, err := p.rotates(ctx, keys); !errors.Is(err, context.Canceled) {
			t.Errorf("%q, %v", said, err)
		}
		time.AfterFunc(time.Second, func() { close(goesOn) })
		if said, err := p.rotates(t.Context(), keys); err != nil || said != "sealed anew: 0, left: 1\nsealed anew: 1, left: 0\n" {
			t.Errorf("%q, %v", said, err)
		}
		if err := <-worked; err != nil {
			t.Error(err)
		}
		if record, err := p.fleet(0, nextKey).Load(t.Context(), "alice"); err != nil || string(record) != "the record!" {
			t.Errorf("%q, %v", record, err)
		}
	})
}

// It says what it cannot do, and never what a key is.
func TestRotate_Refuses(t *testing.T) {
	p := newPlace(t)
	if err := put(p.fleet(0, sealKey), "alice"); err != nil {
		t.Fatal(err)
	}
	secret := base64.StdEncoding.EncodeToString([]byte("s3cr3t-and-too-short"))
	for _, test := range []struct {
		keys, says string
		args       []string
	}{
		{"", "is empty", nil},
		{secret, "key 1 is not 32 bytes", nil},
		{encoded(nextKey) + "," + secret, "key 2 is not 32 bytes", nil},
		{encoded(nextKey) + ",", "key 2 is not 32 bytes", nil},
		{encoded(nextKey), "no key that was given opens it", nil},
		{encoded(sealKey), "there is no format 9", []string{"-format", "9"}},
		{encoded(sealKey), "there is nothing", []string{"-fails"}},
		{encoded(sealKey), "ROWS_URL", []string{"memory://lazyauth:hunter2@here"}},
		{encoded(sealKey), "not defined", []string{"-url", "x"}},
	} {
		said, err := p.rotates(t.Context(), test.keys, test.args...)
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(said+err.Error(), secret) || strings.Contains(said+err.Error(), "hunter2") {
			t.Errorf("%q: %q, %v; want %q", test.args, said, err, test.says)
		}
	}
}

// Rows that no key opens are left, and why is said once.
func TestRun_KeyIsMissing(t *testing.T) {
	p := newPlace(t)
	machine := p.fleet(0, sealKey)
	for n := range 4 {
		if err := machine.Update(t.Context(), fmt.Sprint("record ", n), func([]byte) ([]byte, error) { return []byte("content"), nil }); err != nil {
			t.Fatal(err)
		}
	}
	out, err := p.rotates(t.Context(), base64.StdEncoding.EncodeToString(nextKey))
	if !errors.Is(err, store.ErrWrongKey) || strings.Count(err.Error(), "give the older keys as well") != 1 || !strings.Contains(out, "left: 4") {
		t.Errorf("%s: %v", out, err)
	}
}
