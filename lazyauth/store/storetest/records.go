package storetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Records are made, found, changed and removed, and those of others stay.
func lifeOfARecord(r *run) {
	s := r.open()
	other := "bob at https://issuer.example/ ü काम"
	r.want(s, "alice", none)
	r.wantKeys(s)
	r.put(s, "alice", "first")
	r.put(s, other, "his")
	r.want(s, "alice", "first")
	r.wantKeys(s, "alice", other)
	calls := 0
	err := s.Update(r.Context(), "alice", func(old []byte) ([]byte, error) {
		if calls++; string(old) != "first" {
			r.Errorf("change was given %q", old)
		}
		return append(old, ", refreshed"...), nil
	})
	if err != nil || calls != 1 {
		r.Fatalf("Update: %d calls of change, %v", calls, err)
	}
	r.want(s, "alice", "first, refreshed")
	for _, what := range []string{"removing", "removing what is not there"} {
		if err := s.Update(r.Context(), "alice", remove); err != nil {
			r.Errorf("%s: %v", what, err)
		}
		r.want(s, "alice", none)
		r.want(s, other, "his")
		r.wantKeys(s, other)
	}
	err = s.Update(r.Context(), "alice", func(old []byte) ([]byte, error) {
		if old != nil {
			r.Errorf("change was given %q after the removal", old)
		}
		return []byte("anew"), nil
	})
	if err != nil {
		r.Errorf("Update: %v", err)
	}
	r.want(s, "alice", "anew")
}

// A record that is there and empty is not one that is missing.
func emptyRecord(r *run) {
	s := r.open()
	r.put(s, "alice", "")
	r.want(s, "alice", "")
	r.wantKeys(s, "alice")
	err := s.Update(r.Context(), "alice", func(old []byte) ([]byte, error) {
		if old == nil {
			r.Errorf("change was told that there is none")
		}
		return nil, nil
	})
	if err != nil {
		r.Errorf("Update: %v", err)
	}
	r.want(s, "alice", none)
}

// The longest key and the longest record are kept as they are, whatever is in them, and
// keys that differ at the end are two.
func limits(r *run) {
	s := r.open()
	long := strings.Repeat("k", store.MaxKey-1)
	large := strings.Repeat("012345\x00\xff", store.MaxRecord/8)
	r.put(s, long+"1", large)
	r.put(s, long+"2", "short")
	r.want(s, long+"1", large)
	r.want(s, long+"2", "short")
	r.wantKeys(s, long+"1", long+"2")
	if err := s.Update(r.Context(), long+"1", to(large+"!")); err == nil {
		r.want(s, long+"1", large+"!") // a store may take more
	} else {
		r.want(s, long+"1", large)
	}
	r.put(s, long+"1", "short again")
	r.want(s, long+"1", "short again")
	for _, pair := range [][2]string{{"A", "a"}, {"x", "x "}, {"é", "e\u0301"}, {"100%", "100_"}} {
		r.put(s, pair[0], "of the first")
		r.put(s, pair[1], "of the second")
		r.want(s, pair[0], "of the first")
		r.want(s, pair[1], "of the second")
	}
}

// What cannot be a key is refused, and not repeated in the error: it may be anything.
func keysThatAreNone(r *run) {
	s := r.open()
	for _, key := range []string{"", strings.Repeat("k", store.MaxKey+1), "two\nlines", "nul\x00", "not UTF-8 \xff", "bell\a"} {
		err := s.Update(r.Context(), key, func([]byte) ([]byte, error) {
			r.Errorf("Update(%.20q): change was called", key)
			return []byte("record"), nil
		})
		if err == nil || key != "" && strings.Contains(err.Error(), key) {
			r.Errorf("Update(%.20q): %v", key, err)
		}
		if _, err := s.Load(r.Context(), key); err == nil {
			r.Errorf("Load(%.20q) succeeded", key)
		}
	}
	r.wantKeys(s)
}

// The bytes that went in and came out are the caller's.
func copies(r *run) {
	s := r.open()
	record := []byte("record")
	if err := s.Update(r.Context(), "alice", func([]byte) ([]byte, error) { return record, nil }); err != nil {
		r.Fatalf("Update: %v", err)
	}
	record[0] = 'x'
	got, err := s.Load(r.Context(), "alice")
	if err != nil || len(got) == 0 {
		r.Fatalf("Load: %q, %v", got, err)
	}
	got[0] = 'y'
	r.want(s, "alice", "record")
}

// What change says is final: its error comes back as it is, and nothing has changed.
func changeFails(r *run) {
	s := r.open()
	r.put(s, "alice", "old")
	out := errors.New("the authorization server is out of reach")
	for key, record := range map[string]string{"alice": "old", "bob": none} {
		calls := 0
		err := s.Update(r.Context(), key, func(old []byte) ([]byte, error) {
			calls++
			copy(old, "xxx")
			return []byte(secret), out
		})
		if err != out { //nolint:errorlint // the same, and not one that wraps it
			r.Errorf("Update: %v; want the error of change as it is", err)
		}
		if calls != 1 {
			r.Errorf("%d calls of change", calls)
		}
		r.want(s, key, record)
		r.put(s, key, "not locked any more")
	}
}

// A change that panics holds nobody up.
func changePanics(r *run) {
	s := r.open()
	r.put(s, "alice", "old")
	func() {
		defer func() {
			if recover() == nil {
				r.Errorf("the panic of change was swallowed")
			}
		}()
		_ = s.Update(r.Context(), "alice", func([]byte) ([]byte, error) { panic("a bug") })
	}()
	r.want(s, "alice", "old")
	_ = r.ends("the next Update", func() error { return s.Update(r.Context(), "alice", to("next")) })
	r.want(s, "alice", "next")
}

// What Update has written is there for everybody at once.
func durable(r *run) {
	for n := range 10 {
		s := r.open()
		record := fmt.Sprintf("record %d", n)
		r.put(s, fmt.Sprint(n), record)
		r.put(s, "alice", record)
		another := r.open()
		r.want(another, "alice", record)
		r.want(another, fmt.Sprint(n), record)
		keys, err := another.Keys(r.Context())
		if err != nil || len(keys) != n+2 {
			r.Errorf("Keys: %q, %v; want %d", keys, err, n+2)
		}
		err = another.Update(r.Context(), "alice", func(old []byte) ([]byte, error) {
			if string(old) != record {
				r.Errorf("change was given %q after %q was written", old, record)
			}
			return old, nil
		})
		if err != nil {
			r.Errorf("Update: %v", err)
		}
	}
}

// A store says where it is, in a few words, and shows nothing of a record.
func name(r *run) {
	s := r.open()
	r.put(s, "alice", secret)
	if text := s.String(); text == "" || strings.ContainsAny(text, "\n\r") || strings.Contains(text, secret) {
		r.Errorf("String: %q", text)
	}
}

// A store that can be read and not written is found out before change is called, since
// change spends a refresh token that other processes share.
func unwritable(r *run) {
	s := r.open()
	r.put(s, "alice", secret)
	restore, err := r.subject.ReadOnly()
	if err != nil {
		r.Fatalf("ReadOnly: %v", err)
	}
	func() {
		defer restore()
		for _, s := range []store.Store{s, r.open()} {
			for _, key := range []string{"alice", "bob"} {
				err := s.Update(r.Context(), key, func([]byte) ([]byte, error) {
					r.Errorf("change was called though nothing can be written")
					return []byte("new " + secret), nil
				})
				if !errors.Is(err, store.ErrUnwritable) {
					r.Errorf("Update: %v; want %v", err, store.ErrUnwritable)
				}
				r.quotes("Update", err)
			}
		}
		r.want(s, "alice", secret)
	}()
	r.want(s, "alice", secret)
	r.put(s, "alice", "after it")
	r.want(s, "alice", "after it")
}
