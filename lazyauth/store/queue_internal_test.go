package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zalando/go-keyring"
)

// A silent place answers as memory does, except that one of its methods waits for
// somebody who may never come.
type silent struct {
	*memory
	requests queue
	mute     string        // the method
	answer   chan struct{} // closed when it answers
	calls    map[string]int
	mu       sync.Mutex
}

func silentStore(mute string) (*silent, *kept) {
	p := &silent{
		memory: Memory().(*kept).place.(*memory), mute: mute, answer: make(chan struct{}), calls: make(map[string]int),
		requests: queue{limit: 3, advice: "somebody should look"},
	}
	return p, &kept{place: p}
}

func (p *silent) called(method string) {
	p.mu.Lock()
	p.calls[method]++
	p.mu.Unlock()
	if method == p.mute {
		<-p.answer
	}
}

func (p *silent) queue() *queue { return &p.requests }
func (p *silent) tryLock(name string) (func(), error) {
	p.called("tryLock")
	return func() { p.called("unlock") }, nil
}
func (p *silent) read(name string) (*entry, error) {
	p.called("read")
	return p.memory.read(name)
}
func (p *silent) prepare(ctx context.Context, name, key string) (draft, error) {
	p.called("prepare")
	d, err := p.memory.prepare(ctx, name, key)
	return silentDraft{d, p}, err
}
func (p *silent) names(ctx context.Context) ([]string, error) {
	p.called("names")
	return p.memory.names(ctx)
}

type silentDraft struct {
	draft
	place *silent
}

func (d silentDraft) write(e *entry) error { d.place.called("write"); return d.draft.write(e) }
func (d silentDraft) remove() error        { d.place.called("remove"); return d.draft.remove() }
func (d silentDraft) discard()             { d.place.called("discard") }

// goroutines are those that store requests are made on.
func goroutines() int {
	stacks := make([]byte, 1<<22)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "store.(*queue).work(")
}

// Whatever a store is doing: when the context ends its methods return, at once or, if
// change has been called, a grace later; what they leave behind is bounded, and whoever
// comes later is told at once. When the store answers everything is as it should be.
func TestStuck_EachMethodReturns(t *testing.T) {
	no := errors.New("change failed")
	for _, c := range []struct {
		mute    string
		use     string
		changed bool          // change is called
		grace   time.Duration // beyond the end of the context
		after   string        // the record, once the store has answered
	}{
		{"read", "load", false, 0, "old"},
		{"names", "keys", false, 0, "old"},
		{"read", "keys", false, 0, "old"},
		{"tryLock", "update", false, 0, "old"},
		{"read", "update", false, 0, "old"},
		{"prepare", "update", false, 0, "old"},
		{"write", "update", true, writeGrace, "new"},
		{"unlock", "update", true, writeGrace, "new"},
		{"remove", "delete", true, writeGrace, ""},
		{"discard", "fail", true, writeGrace, "old"},
		{"unlock", "fail", true, writeGrace, "old"},
	} {
		t.Run(c.mute+", "+c.use, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := silentStore("")
				for n := range 40 {
					update(t, s, fmt.Sprint(n), "old")
				}
				p.mute, p.calls = c.mute, make(map[string]int)
				gone := errors.New("the host gave the call up")
				changed := make(map[string]bool) // by key; p.mu guards it
				use := func(ctx context.Context, key string) error {
					change := func(record []byte, err error) func([]byte) ([]byte, error) {
						return func([]byte) ([]byte, error) {
							p.mu.Lock()
							defer p.mu.Unlock()
							changed[key] = true
							return record, err
						}
					}
					switch c.use {
					case "load":
						_, err := s.Load(ctx, key)
						return err
					case "keys":
						_, err := s.Keys(ctx)
						return err
					case "update":
						return s.Update(ctx, key, change([]byte("new"), nil))
					case "delete":
						return s.Update(ctx, key, change(nil, nil))
					default:
						return s.Update(ctx, key, change(nil, no))
					}
				}
				check := func(key string, err error) {
					t.Helper()
					p.mu.Lock()
					called := changed[key]
					p.mu.Unlock()
					if c.use == "fail" && called { // what change says is what counts
						if err != no {
							t.Errorf("error: %v", err)
						}
						return
					}
					if !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), "in memory") || !strings.Contains(err.Error(), "somebody should look") {
						t.Errorf("error: %v", err)
					}
				}
				// Many at once, of whom some are under way and the others wait.
				ctx, cancel := context.WithCancelCause(t.Context())
				came := time.Now()
				var wg sync.WaitGroup
				for n := range 20 {
					wg.Go(func() { check(fmt.Sprint(n), use(ctx, fmt.Sprint(n))) })
				}
				time.Sleep(20 * time.Second)
				cancel(gone)
				wg.Wait()
				if took := time.Since(came); took > 20*time.Second+c.grace {
					t.Errorf("returned after %v", took)
				}
				time.Sleep(time.Minute)
				if n := goroutines(); n > p.requests.limit {
					t.Errorf("%d goroutines are left behind", n)
				}
				if c.changed != (len(changed) > 0) {
					t.Errorf("change was called for %v", changed)
				}

				// Whoever comes now does not wait.
				came = time.Now()
				for n := range 40 {
					check("", use(t.Context(), fmt.Sprint(n)))
				}
				if took := time.Since(came); took > 0 {
					t.Errorf("who came later waited for %v", took)
				}
				if n := goroutines(); n > p.requests.limit {
					t.Errorf("%d goroutines are left behind", n)
				}

				close(p.answer)
				synctest.Wait()
				if n := goroutines(); n != 0 {
					t.Errorf("%d goroutines after the answer", n)
				}
				for n := range 40 {
					after := "old"
					if changed[fmt.Sprint(n)] {
						after = c.after
					}
					expect(t, s, fmt.Sprint(n), after)
					update(t, s, fmt.Sprint(n), "next")
				}
				if locked, let := p.calls["tryLock"], p.calls["unlock"]; locked != let {
					t.Errorf("%d locks, %d unlocks", locked, let)
				}
			})
		})
	}
}

// Without an end of the context there is one of the store's own.
func TestStuck_NoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mute := range []string{"read", "write"} {
			p, s := silentStore(mute)
			came := time.Now()
			err := s.Update(context.Background(), "alice", func([]byte) ([]byte, error) { return []byte("new"), nil })
			if !errors.Is(err, ErrNoAnswer) || time.Since(came) > answerWait {
				t.Errorf("%s: after %v: %v", mute, time.Since(came), err)
			}
			close(p.answer)
		}
	})
}

// A caller who gives up early is no sign of a store that hangs: others wait their turn.
func TestStuck_SlowIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := silentStore("read")
		p.requests.limit = 1
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Load(ctx, "alice"); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		wg.Go(func() {
			if _, err := s.Load(t.Context(), "bob"); err != nil {
				t.Errorf("the second: %v", err)
			}
		})
		time.Sleep(hangAfter - time.Millisecond)
		close(p.answer)
		wg.Wait()
		if n := goroutines(); n != 0 {
			t.Errorf("%d goroutines", n)
		}
	})
}

// While one request hangs, those that wait for their turn are told, and an update that
// has called change is written as soon as there is an answer.
func TestStuck_WrittenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := silentStore("")
		p.requests.limit = 1
		refreshing, refreshed := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			err := s.Update(t.Context(), "alice", func([]byte) ([]byte, error) {
				close(refreshing)
				<-refreshed
				return []byte("rotated"), nil
			})
			if !errors.Is(err, ErrNoAnswer) {
				t.Errorf("Update: %v", err)
			}
		})
		<-refreshing
		p.mute = "read"
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Load(brief, "bob"); !errors.Is(err, ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Load: %v", err)
		}
		wg.Go(func() {
			came := time.Now()
			if _, err := s.Load(t.Context(), "carol"); !errors.Is(err, ErrNoAnswer) || time.Since(came) > hangAfter {
				t.Errorf("Load after %v: %v", time.Since(came), err)
			}
		})
		synctest.Wait()
		close(refreshed)
		wg.Wait()
		close(p.answer)
		synctest.Wait()
		expect(t, s, "alice", "rotated")
		update(t, s, "alice", "next")
	})
}

// A change that panics leaves nothing locked.
func TestStuck_ChangePanics(t *testing.T) {
	p, s := silentStore("")
	func() {
		defer func() { _ = recover() }()
		_ = s.Update(t.Context(), "alice", func([]byte) ([]byte, error) { panic("a bug") })
	}()
	update(t, s, "alice", "next")
	if p.calls["discard"] != 1 || p.calls["unlock"] != 2 {
		t.Errorf("calls: %v", p.calls)
	}
}

// asking is a library whose requests of one kind wait for a password.
type asking struct {
	platform
	kind     string
	password chan struct{}
}

func (a asking) wait(kind string) {
	if kind == a.kind {
		<-a.password
	}
}

func (a asking) Get(service, account string) (string, error) {
	a.wait("get")
	return a.platform.Get(service, account)
}

func (a asking) Set(service, account, text string) error {
	a.wait("set")
	return a.platform.Set(service, account, text)
}

func (a asking) Delete(service, account string) error {
	a.wait("delete")
	return a.platform.Delete(service, account)
}

// A keychain asks for its password, and nobody is there. Whoever waits goes, and is told
// what it waits for. One request is left unanswered, and change is called only by an
// update that was able to write a moment ago.
func TestStuck_KeychainAsksForItsPassword(t *testing.T) {
	for _, kind := range []string{"get", "set", "delete"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, s := ownKeychain(t)
				update(t, s, "alice", "hers")
				library := asking{kind: kind, password: make(chan struct{})}
				k.library = library
				changed := false
				use := map[string]func(context.Context) error{
					"get": func(ctx context.Context) error { _, err := s.Load(ctx, "alice"); return err },
					"set": func(ctx context.Context) error {
						return s.Update(ctx, "alice", func([]byte) ([]byte, error) { changed = true; return []byte("new"), nil })
					},
					"delete": func(ctx context.Context) error {
						return s.Update(ctx, "alice", func([]byte) ([]byte, error) { return nil, nil })
					},
				}[kind]
				var wg sync.WaitGroup
				for range 50 {
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
						defer cancel()
						err := use(ctx)
						if !errors.Is(err, ErrNoAnswer) || errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "in the keychain") {
							t.Errorf("error: %v", err)
						}
					})
				}
				wg.Wait()
				time.Sleep(time.Minute)
				came := time.Now()
				_, load := s.Load(t.Context(), "bob")
				_, list := s.Keys(t.Context())
				for _, err := range []error{load, list, use(t.Context())} {
					if !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), "asking for a password") {
						t.Errorf("later: %v", err)
					}
				}
				if time.Since(came) > 0 {
					t.Errorf("later calls waited for %v", time.Since(came))
				}
				if n := goroutines(); n != 1 {
					t.Errorf("%d goroutines", n)
				}
				if changed {
					t.Error("change was called though nothing could be written")
				}
				close(library.password)
				synctest.Wait()
				want := "hers"
				if kind == "delete" { // it was begun after change
					want = ""
				}
				expect(t, s, "alice", want)
				update(t, s, "alice", "next")
			})
		})
	}
}

// A keychain that lets nobody write is found out before change is called.
func TestUnwritable_Keychain(t *testing.T) {
	k, s := ownKeychain(t)
	update(t, s, "alice", "hers")
	for name, library := range map[string]library{"refuses": &dying{}, "forgets": forgetful{}} {
		k.library = library
		for _, key := range []string{"alice", "bob"} {
			err := s.Update(t.Context(), key, func([]byte) ([]byte, error) { t.Error("change was called"); return nil, nil })
			if !errors.Is(err, ErrUnwritable) || !strings.Contains(err.Error(), "the keychain cannot be written") {
				t.Errorf("%s, %s: %v", name, key, err)
			}
		}
		if _, err := s.Load(t.Context(), "alice"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	k.library = platform{}
	expect(t, s, "alice", "hers")
	if keys, err := s.Keys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("Keys: %q, %v", keys, err)
	}
	if err := s.Update(t.Context(), "bob", func([]byte) ([]byte, error) { return nil, errKilled }); err != errKilled {
		t.Errorf("error: %v", err)
	}
	if _, err := keyring.Get("notes-mcp", trialName(nameOf("bob"))); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("left behind: %v", err)
	}
}
