package guard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// pretender is an error that is no runtime's, whatever it says.
type pretender struct{ error }

func (pretender) RuntimeError() {}

func TestCall_PanicBecomesAnError(t *testing.T) {
	var none []int
	secret := "s3cret"
	for name, c := range map[string]struct {
		f    func()
		want string
	}{
		"text":      {func() { panic(secret) }, "with a string ("},
		"error":     {func() { panic(errors.New(secret)) }, "with a *errors.errorString ("},
		"runtime":   {func() { none[len(secret)] = 1 }, "index out of range [6] with length 0 (guard_test.TestCall_"},
		"nil":       {func() { panic(nil) }, "panic called with nil"}, //nolint:govet // on purpose
		"pretender": {func() { panic(pretender{errors.New(secret)}) }, "with a guard_test.pretender ("},
	} {
		err := guard.Call("the callback", func() error { c.f(); return nil })
		if err == nil || !strings.HasPrefix(err.Error(), "lazyauth: the callback panicked") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, secret) {
			t.Errorf("%s: what it panicked with is told: %s", name, text)
		}
	}
	if err := guard.Call("x", func() error { return io.EOF }); err != io.EOF {
		t.Errorf("an error comes back as %v", err)
	}
}

func TestIsOurs(t *testing.T) {
	ours := func(f func()) (answer bool) {
		defer func() {
			answer = guard.IsOurs()
			_ = recover()
		}()
		f()
		return
	}
	var schema *jsonschema.Resolved
	for name, c := range map[string]struct {
		f    func()
		ours bool
	}{
		"a handler's":                            {func() { panic("x") }, false},
		"a handler's, within a library function": {func() { slices.SortFunc([]int{1, 2}, func(int, int) int { panic("x") }) }, false},
		"a library function's, misused":          {func() { _ = strings.Repeat("x", -len(t.Name())) }, false},
		"a scope that cannot be":                 {func() { scopes.Of("two words") }, false},
		"a handler's, thrown anew":               {func() { guard.Rethrow("x") }, false},
		"the schema library's":                   {func() { _ = schema.Validate(1) }, true},
		"none":                                   {func() {}, false},
	} {
		if got := ours(c.f); got != c.ours {
			t.Errorf("%s: ours is %t, want %t", name, got, c.ours)
		}
	}
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late guard.Late
		await := func(ctx context.Context, f func(context.Context) (int, error)) (int, error) {
			return guard.Await(ctx, &late, "the callback", time.Minute, f)
		}
		if n, err := await(t.Context(), func(context.Context) (int, error) { return 7, io.EOF }); n != 7 || err != io.EOF {
			t.Errorf("%d, %v", n, err)
		}
		if _, err := await(t.Context(), func(context.Context) (int, error) { panic("x") }); err == nil || !strings.Contains(err.Error(), "panicked") {
			t.Errorf("a panic: %v", err)
		}
		if _, err := await(t.Context(), func(context.Context) (int, error) { runtime.Goexit(); return 7, nil }); !errors.Is(err, guard.ErrExited) {
			t.Errorf("a goroutine that exits: %v", err)
		}
		began := time.Now()
		// What it returns at the very end of the wait counts, or else the wait's own error.
		_, err := await(t.Context(), func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) })
		if slow, ok := errors.AsType[*guard.Slow](err); !ok || slow.What != "the callback" || time.Since(began) != time.Minute {
			t.Errorf("one that heeds its context, after %v: %v", time.Since(began), err)
		}
		synctest.Wait()
		if names := late.Names(); names != nil {
			t.Errorf("late: %q", names)
		}
		// One that does not is left behind, and there are only so many of them.
		release := make(chan struct{})
		var calls atomic.Int32
		for range 20 {
			_, err = await(t.Context(), func(context.Context) (int, error) { calls.Add(1); <-release; return 0, nil })
		}
		if _, ok := errors.AsType[*guard.Slow](err); !ok || calls.Load() != 16 || !slices.Equal(late.Names(), []string{"the callback"}) {
			t.Errorf("%d calls, %v; late: %q", calls.Load(), err, late.Names())
		}
		close(release)
		synctest.Wait()
		if names := late.Names(); names != nil {
			t.Errorf("late once they have returned: %q", names)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(io.ErrUnexpectedEOF)
		if _, err := await(ctx, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, io.ErrUnexpectedEOF }); err != io.ErrUnexpectedEOF {
			t.Errorf("a context that has ended: %v", err)
		}
	})
}

// What follows a call is called once, whether that returns, panics, or ends its goroutine.
func TestThen(t *testing.T) {
	failed := errors.New("it failed")
	for name, test := range map[string]struct {
		f    func() error
		want func(error) bool
	}{
		"returns": {func() error { return nil }, func(err error) bool { return err == nil }},
		"fails":   {func() error { return failed }, func(err error) bool { return errors.Is(err, failed) }},
		"panics":  {func() error { panic("a call") }, guard.IsMishap},
		"exits":   {func() error { runtime.Goexit(); return nil }, func(err error) bool { return errors.Is(err, guard.ErrExited) }},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan error, 2)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				guard.Then("a call", test.f, func(err error) { got <- err })
			}()
			<-ended
			if err := <-got; !test.want(err) || len(got) != 0 {
				t.Errorf("%v, and %d more", err, len(got))
			}
		})
	}
}
