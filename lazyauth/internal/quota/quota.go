// Package quota bounds how much of something there is at a time.
package quota

import "sync"

// A Quota bounds how many of something there are, in all and for each owner. It is safe for
// concurrent use.
type Quota[K comparable] struct {
	all, each int

	mu    sync.Mutex
	taken map[K]int
	total int
}

// New returns a quota of so many in all, and so many for each owner.
func New[K comparable](all, each int) *Quota[K] {
	return &Quota[K]{all: all, each: each, taken: make(map[K]int)}
}

// Take takes one for owner, which is to be given back. It reports false if there is none left.
func (q *Quota[K]) Take(owner K) bool { return q.TakeMany(owner, 1) }

// TakeMany takes so many for owner, or none if there are not as many.
func (q *Quota[K]) TakeMany(owner K, n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n <= 0 || !q.hasRoomLocked(owner, n) {
		return n == 0
	}
	q.taken[owner] += n
	q.total += n
	return true
}

// Give gives one back that was taken for owner.
func (q *Quota[K]) Give(owner K) { q.GiveMany(owner, 1) }

// GiveMany gives so many back.
func (q *Quota[K]) GiveMany(owner K, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total -= n
	if q.taken[owner] -= n; q.taken[owner] == 0 {
		delete(q.taken, owner)
	}
}

// HasRoom reports whether so many could be taken for owner now.
func (q *Quota[K]) HasRoom(owner K, n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.hasRoomLocked(owner, n)
}

// HasShare reports whether owner has less than each may have, whatever there is in all.
func (q *Quota[K]) HasShare(owner K) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.taken[owner] < q.each
}

func (q *Quota[K]) hasRoomLocked(owner K, n int) bool {
	return n <= q.all-q.total && n <= q.each-q.taken[owner] // neither can overflow
}

// Taken returns how many are taken, in all.
func (q *Quota[K]) Taken() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}
