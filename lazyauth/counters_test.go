package lazyauth_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// Every hook is counted, and what is written for Prometheus is every counter, with a text that says what it is.
func TestCounters_WriteTo(t *testing.T) {
	var c lazyauth.Counters
	var b strings.Builder
	if n, err := c.WriteTo(&b); n != 0 || err != nil {
		t.Errorf("of nothing: %d, %v", n, err)
	}
	trace := reflect.ValueOf(*c.Trace())
	for _, hook := range trace.Fields() {
		hook.Call([]reflect.Value{reflect.ValueOf(context.Background()), reflect.Zero(hook.Type().In(1))})
	}
	c.Trace().Prompted(t.Context(), lazyauth.PromptedInfo{Channel: "url"})
	c.Trace().Prompted(t.Context(), lazyauth.PromptedInfo{Channel: "url"})
	if n, err := c.WriteTo(&b); n != int64(b.Len()) || err != nil {
		t.Errorf("%d of %d, %v", n, b.Len(), err)
	}
	text := b.String()
	for field := range trace.Type().Fields() {
		name := "lazyauth_" + strings.ToLower(field.Name) + "_total"
		if !strings.Contains(text, "\n"+name) || !strings.Contains(text, "# TYPE "+name+" counter\n") {
			t.Errorf("there is no %s", name)
		}
		if help := "# HELP " + name + " "; strings.Contains(text, help+"\n") || !strings.Contains(text, help) {
			t.Errorf("nothing says what %s is", name)
		}
	}
	for _, want := range []string{"lazyauth_prompted_total{kind=\"url\"} 2\n", "lazyauth_granted_total 1\n", "lazyauth_granted_seconds_total 0\n"} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("there is no line %q in\n%s", want, text)
		}
	}
}
