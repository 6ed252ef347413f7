package ending_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/ending"
)

type key struct{}

var (
	errOver  = errors.New("it is over")
	errLater = errors.New("it is over again")
)

func TestContext_Ends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		values, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		cancel()
		c := &ending.Context{Values: values}
		before := c.Done()
		now, release := ending.During(c)
		defer release()
		child, stop := context.WithTimeout(c, time.Hour)
		defer stop()
		var own, others, standard bool
		ending.AfterFunc(c, func() { own = true })
		stopped := ending.AfterFunc(c, func() { t.Error("it was stopped") })
		context.AfterFunc(c, func() { standard = true })
		ending.AfterFunc(t.Context(), func() { others = true })
		if !stopped() || stopped() {
			t.Error("it is stopped once")
		}
		if c.Err() != nil || now.Err() != nil || child.Err() != nil || context.Cause(c) != nil {
			t.Error("it has ended already")
		}
		for _, ctx := range []context.Context{c, now, child} {
			if ctx.Value(key{}) != "value" {
				t.Errorf("%T is without its values", ctx)
			}
		}
		c.End(errOver)
		if now.Err() == nil || child.Err() == nil {
			t.Error("what is done now goes on")
		}
		c.End(errLater)
		synctest.Wait()
		<-before
		for _, ctx := range []context.Context{c, now, child} {
			<-ctx.Done()
			if err, cause := ctx.Err(), context.Cause(ctx); err != context.Canceled || cause != errOver {
				t.Errorf("%T has ended by %v: %v", ctx, err, cause)
			}
			if ctx.Value(key{}) != "value" {
				t.Errorf("%T is without its values at the end", ctx)
			}
		}
		if !own || !standard || others {
			t.Errorf("called: %t, by the standard library %t, of another context %t", own, standard, others)
		}
	})
}

// Who comes when it is over learns that at once.
func TestContext_HasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ending.Context
		c.End(nil)
		if !errors.Is(c.Err(), context.Canceled) || c.Value(key{}) != nil {
			t.Errorf("it has ended by %v", c.Err())
		}
		<-c.Done()
		now, release := ending.During(&c)
		defer release()
		if now.Err() == nil {
			t.Error("something is done after the end")
		}
		called := false
		stop := ending.AfterFunc(&c, func() { called = true })
		synctest.Wait()
		if stop() || !called {
			t.Error("it is called, and cannot be stopped")
		}
	})
}

// What is released does not end with the context any more, and has ended by itself.
func TestDuring_Released(t *testing.T) {
	for name, ctx := range map[string]context.Context{"a Context": &ending.Context{}, "another one": t.Context()} {
		now, release := ending.During(ctx)
		release()
		if cause := context.Cause(now); !errors.Is(cause, context.Canceled) || ctx.Err() != nil {
			t.Errorf("%s: it has ended by %v, and what it was made from by %v", name, cause, ctx.Err())
		}
	}
}

// Of what was stopped nothing is kept by a context that goes on.
func TestAfterFunc_LeavesNothing(t *testing.T) {
	var c ending.Context
	var kept [3]weak.Pointer[[64]byte]
	for n := range kept {
		held := new([64]byte)
		kept[n] = weak.Make(held)
		stop := ending.AfterFunc(&c, func() { runtime.KeepAlive(held) })
		if n != 1 {
			stop()
		}
	}
	runtime.GC()
	for n := range kept {
		if isKept := kept[n].Value() != nil; isKept != (n == 1) {
			t.Errorf("number %d is kept: %t", n, isKept)
		}
	}
	runtime.KeepAlive(&c)
}
