package grants

import "sync/atomic"

// Beside is what somebody keeps beside an owner, and for as long.
type Beside interface {
	// Rest gives up what is not needed, and reports whether nothing is left that would be
	// missed. It is called with the owner's mutex locked.
	Rest() bool
}

// Beside returns what is kept beside o; the first time it is what fresh returns, which may be
// called in vain.
func (o *Owner) Beside(fresh func() Beside) Beside { return o.beside.get(fresh) }

// A companion is a place for a Beside.
type companion struct{ atomic.Pointer[Beside] }

func (c *companion) get(fresh func() Beside) Beside {
	if b := c.Load(); b != nil {
		return *b
	}
	b := fresh()
	if c.CompareAndSwap(nil, &b) {
		return b
	}
	return *c.Load()
}

// rest reports whether nothing is left there that would be missed.
func (c *companion) rest() bool {
	b := c.Load()
	return b == nil || (*b).Rest()
}

// keep has o not be forgotten while it has something to remember: whoever uses it may have come
// by it long ago.
func (o *Owner) keep() {
	if o.source == nil { // of others the keeper has none
		o.keeper.Owner(o.who)
	}
}

// rest gives up a grant that the store has, and reports whether nothing is left that the next
// call would miss. Then o can be forgotten.
func (o *Owner) rest() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.Grant()
	switch {
	case o.flight != nil, o.renewal != nil, len(o.waiting) > 0, !o.setbacks.past():
		return false
	case g != nil && !g.stored.Load() && (g.Alive() || g.Renewable()):
		return false
	case o.outdated != "", o.record.has(o.rejected): // what the store has must not come back
		return false
	}
	if !o.beside.rest() {
		return false
	}
	if g != nil && o.grant.CompareAndSwap(g, nil) {
		g.stop()
	}
	return true
}
