package bars_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/bars"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

var (
	ada = bars.Person{Issuer: "https://idp.example", Subject: "ada"}
	eve = bars.Person{Issuer: "https://idp.example", Subject: "eve"}
)

// refused demands that somebody is not let in.
func refused(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*bars.Barred](err); !ok {
		t.Errorf("the error is %v, want a bar", err)
	}
}

func TestBook_BarsInEveryProcess(t *testing.T) {
	s := store.Memory()
	here, there := bars.New(s, "notes"), bars.New(s, "notes")
	pass, err := there.Admit(t.Context(), ada, "work")
	if err != nil {
		t.Fatal(err)
	}
	if err := here.Bar(t.Context(), ada, bars.Bar{Since: time.Now(), By: "olga"}); err != nil {
		t.Fatal(err)
	}
	refused(t, pass.Still(t.Context()))
	for _, b := range []*bars.Book{here, there, bars.New(s, "notes")} {
		_, err := b.Admit(t.Context(), ada, "")
		refused(t, err)
	}
	if _, err := there.Admit(t.Context(), eve, ""); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	if _, err := bars.New(s, "mail").Admit(t.Context(), ada, ""); err != nil {
		t.Errorf("another service: %v", err)
	}
	if was, err := there.Lift(t.Context(), ada); err != nil || !was {
		t.Errorf("lifted %t, %v", was, err)
	}
	if _, err := here.Admit(t.Context(), ada, ""); err != nil {
		t.Errorf("after it was lifted elsewhere: %v", err)
	}
	if !errors.Is(pass.Still(t.Context()), bars.ErrEnded) { // it was begun before
		t.Error("what was begun before a bar that is lifted by now may go on")
	}
}

func TestPass_EndsWithWhatWasEnded(t *testing.T) {
	b := bars.New(store.Memory(), "notes")
	work, _ := b.Admit(t.Context(), ada, "work")
	home, _ := b.Admit(t.Context(), ada, "home")
	if err := b.Ended(t.Context(), ada, "work", false); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(work.Still(t.Context()), bars.ErrEnded) || home.Still(t.Context()) != nil {
		t.Error("the end of one account is not that of one account")
	}
	if err := b.Ended(t.Context(), ada, "", true); err != nil || !errors.Is(home.Still(t.Context()), bars.ErrEnded) {
		t.Errorf("the end of all accounts: %v", err)
	}
	later, err := b.Admit(t.Context(), ada, "work")
	if err != nil || later.Still(t.Context()) != nil {
		t.Errorf("what was begun after the end: %v", err)
	}
	// So much has ended meanwhile that the journal does not reach back.
	for n := range 300 {
		if err := b.Ended(t.Context(), eve, fmt.Sprint(n), false); err != nil {
			t.Fatal(err)
		}
	}
	if !errors.Is(later.Still(t.Context()), bars.ErrEnded) {
		t.Error("a pass is good though there is no telling")
	}
}

func TestBook_News(t *testing.T) {
	s := store.Memory()
	here, there := bars.New(s, "notes"), bars.New(s, "notes")
	if concerns, err := there.News(t.Context()); err != nil || concerns == nil || !concerns(eve, "") {
		t.Errorf("the first time: %v", err)
	}
	if concerns, err := there.News(t.Context()); err != nil || concerns != nil {
		t.Errorf("there is news of nothing: %v", err)
	}
	if err := here.Ended(t.Context(), ada, "work", false); err != nil {
		t.Fatal(err)
	}
	concerns, err := there.News(t.Context())
	if err != nil || concerns == nil || !concerns(ada, "work") || concerns(ada, "home") || concerns(eve, "work") {
		t.Errorf("news of one account: %v", err)
	}
	// A store that lost its journal.
	if err := s.Update(t.Context(), journalKey(t, s), func([]byte) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if concerns, err := there.News(t.Context()); err != nil || concerns == nil || !concerns(eve, "") {
		t.Errorf("a journal that is shorter than it was: %v", err)
	}
}

func journalKey(t *testing.T, s store.Store) string {
	t.Helper()
	keys, err := s.Keys(t.Context())
	if n := slices.IndexFunc(keys, func(key string) bool { return strings.HasPrefix(key, "lazyauth ended ") }); err == nil && n >= 0 {
		return keys[n]
	}
	t.Fatal("there is no journal")
	return ""
}

func TestBook_Accounts(t *testing.T) {
	b := bars.New(store.Memory(), "notes")
	for _, account := range []string{"work", "", "home", "work"} {
		if err := b.Note(t.Context(), ada, account); err != nil {
			t.Fatal(err)
		}
	}
	if all, more, err := b.Accounts(t.Context(), ada); err != nil || more || !slices.Equal(all, []string{"home", "work"}) {
		t.Errorf("%q, %t, %v", all, more, err)
	}
	for n := range 300 {
		if err := b.Note(t.Context(), ada, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	if all, more, err := b.Accounts(t.Context(), ada); err != nil || !more || len(all) != 200 {
		t.Errorf("%d accounts, %t, %v", len(all), more, err)
	}
	if err := b.Forget(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	if all, more, err := b.Accounts(t.Context(), ada); err != nil || more || len(all) != 0 {
		t.Errorf("after it was erased: %q, %t, %v", all, more, err)
	}
}

// Whoever calls can name any account: of those that nobody has signed in to the latest are remembered, and they take
// no room of the others.
func TestBook_Begin(t *testing.T) {
	s := store.Memory()
	b := bars.New(s, "notes")
	for n := range 1000 {
		if err := b.Begin(t.Context(), ada, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, account := range []string{"999", "work"} {
		if err := errors.Join(b.Begin(t.Context(), ada, account), b.Note(t.Context(), ada, account), b.Begin(t.Context(), ada, account)); err != nil {
			t.Fatal(err)
		}
	}
	all, more, err := b.Accounts(t.Context(), ada)
	if err != nil || more || len(all) != 33 || !slices.Contains(all, "work") || !slices.Contains(all, "998") || slices.Contains(all, "900") {
		t.Errorf("%d accounts, %t, %v: %q", len(all), more, err, all)
	}
	if err := b.Forget(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	if keys, err := s.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("after they were erased: %q, %v", keys, err)
	}
}

// What cannot be read bars: nothing that is unknown lets anybody in.
func TestBook_UnknownIsRefused(t *testing.T) {
	s := store.Memory()
	b := bars.New(s, "notes")
	if err := b.Bar(t.Context(), ada, bars.Bar{Since: time.Now()}); err != nil {
		t.Fatal(err)
	}
	keys, _ := s.Keys(t.Context())
	for _, text := range []string{"", "{", `{"v":2}`, `[]`, `{"v":1,"bar":7}`} {
		for _, key := range keys {
			if strings.HasPrefix(key, "lazyauth person ") {
				if err := s.Update(t.Context(), key, func([]byte) ([]byte, error) { return []byte(text), nil }); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := b.Admit(t.Context(), ada, ""); !errors.Is(err, bars.ErrUnknown) {
			t.Errorf("with %q: %v", text, err)
		}
	}
}

// silent is a store that never answers.
type silent struct{ store.Store }

func (silent) Load(context.Context, string) ([]byte, error) { select {} }

func TestBook_DoesNotWaitForEver(t *testing.T) {
	b := bars.New(silent{store.Memory()}, "notes")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := b.Admit(ctx, ada, ""); !errors.Is(err, bars.ErrUnknown) {
		t.Errorf("the error is %v", err)
	}
}

func TestBook_ABarEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, s := range []store.Store{nil, store.Memory()} {
			b := bars.New(s, "notes")
			if err := b.Bar(t.Context(), ada, bars.Bar{Since: time.Now(), Until: time.Now().Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			_, err := b.Admit(t.Context(), ada, "")
			refused(t, err)
			time.Sleep(time.Hour)
			if _, err := b.Admit(t.Context(), ada, ""); err != nil {
				t.Errorf("after its end: %v", err)
			}
		}
	})
}
