package lazyauth

import (
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// changeDelay is how long changes are gathered before a list of tools is told of them. It is
// longer than a call takes to return after its sign-in, so that its host learns of the change
// in the response to that call, where it listens to nothing else.
const changeDelay = 50 * time.Millisecond

// A changeListener is told that grants may not be what they were, on a goroutine of its own.
type changeListener func(map[grants.Principal]struct{})

// changes brings what concerns somebody's grant to those who list tools by it. The zero value
// is ready.
type changes struct {
	mu        sync.Mutex
	listeners map[weak.Pointer[changeListener]]struct{} // which their servers hold
	changed   map[grants.Principal]struct{}             // that nobody was told of yet
}

// listen has f called for as long as server lives, which is to hold what is returned.
func (c *changes) listen(server *mcp.Server, f changeListener) *changeListener {
	listener := &f
	key := weak.Make(listener)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listeners == nil {
		c.listeners = make(map[weak.Pointer[changeListener]]struct{})
	}
	c.listeners[key] = struct{}{}
	runtime.AddCleanup(server, c.forget, key)
	return listener
}

func (c *changes) forget(key weak.Pointer[changeListener]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.listeners, key)
}

// note notes that who's grant may be another one. It returns at once: the owner's mutex is
// held, as a rule.
func (c *changes) note(who grants.Principal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.listeners) == 0 {
		return
	}
	if c.changed == nil {
		c.changed = make(map[grants.Principal]struct{})
		time.AfterFunc(changeDelay, c.tell)
	}
	c.changed[who] = struct{}{}
}

// pending reports whether there is a change that concerns somebody and was not told yet.
func (c *changes) pending(concerns func(grants.Principal) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for who := range c.changed {
		if concerns(who) {
			return true
		}
	}
	return false
}

// tell tells the listeners what has gathered.
func (c *changes) tell() {
	c.mu.Lock()
	changed := c.changed
	c.changed = nil
	var listeners []*changeListener
	for key := range c.listeners {
		if f := key.Value(); f != nil {
			listeners = append(listeners, f)
		}
	}
	c.mu.Unlock()
	for _, f := range listeners {
		(*f)(changed)
	}
}
