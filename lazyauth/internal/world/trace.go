package world

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// Events records a trace.
type Events struct {
	mu   sync.Mutex
	list []string
	all  []any // the infos
	said strings.Builder
}

func (e *Events) trace() *lazyauth.Trace {
	return &lazyauth.Trace{
		Waiting:        noted[lazyauth.WaitingInfo](e, "waiting"),
		Prompted:       noted[lazyauth.PromptedInfo](e, "prompted"),
		ClientChosen:   noted[lazyauth.ClientChosenInfo](e, "clientchosen"),
		Registered:     noted[lazyauth.RegisteredInfo](e, "registered"),
		Polled:         noted[lazyauth.PolledInfo](e, "polled"),
		Redirected:     noted[lazyauth.RedirectedInfo](e, "redirected"),
		Granted:        noted[lazyauth.GrantedInfo](e, "granted"),
		Refreshed:      noted[lazyauth.RefreshedInfo](e, "refreshed"),
		Unattended:     noted[lazyauth.UnattendedInfo](e, "unattended"),
		Parked:         noted[lazyauth.ParkedInfo](e, "parked"),
		Resumed:        noted[lazyauth.ParkedInfo](e, "resumed"),
		StoreFailed:    noted[lazyauth.StoreFailedInfo](e, "storefailed"),
		Unidentified:   noted[lazyauth.UnidentifiedInfo](e, "unidentified"),
		Refused:        noted[lazyauth.RefusedInfo](e, "refused"),
		Warned:         noted[lazyauth.WarnedInfo](e, "warned"),
		CallbackFailed: noted[lazyauth.CallbackFailedInfo](e, "callbackfailed"),
		Failed:         noted[lazyauth.FailedInfo](e, "failed"),
	}
}

// noted returns a hook that notes what it is given under a name. Every hook has a context.
func noted[Info any](e *Events, name string) func(context.Context, Info) {
	return func(ctx context.Context, info Info) {
		_ = ctx.Err()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.list = append(e.list, name)
		e.all = append(e.all, info)
		fmt.Fprintf(&e.said, "%s %+v %#v\n", name, info, info)
	}
}

// Channels returns how prompts went out, in their order.
func (e *Events) Channels() []string {
	var out []string
	for _, info := range Infos[lazyauth.PromptedInfo](e) {
		out = append(out, info.Channel)
	}
	return out
}

// Infos returns what the hooks of a kind were given, in its order.
func Infos[Info any](e *Events) []Info {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []Info
	for _, any := range e.all {
		if info, ok := any.(Info); ok {
			out = append(out, info)
		}
	}
	return out
}

// Count returns how often a hook ran, by its name in lower case.
func (e *Events) Count(name string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, got := range e.list {
		if got == name {
			n++
		}
	}
	return n
}

// Text returns all that the hooks were given.
func (e *Events) Text() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.said.String()
}
