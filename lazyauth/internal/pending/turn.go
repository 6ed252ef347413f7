package pending

import "time"

const (
	// sendWithin is how long after a poll is due the process sends it whose turn it is. A later one takes
	// its turn anew.
	sendWithin = 2 * time.Second
	// margin is added to what others wait for that process.
	margin = 250 * time.Millisecond
	// bringWithin is how long a process may take to bring a token into the grant's record: to verify and to
	// identify it, and to write.
	bringWithin = 90 * time.Second
	// leastLook and mostLook are how often who waits looks at the record.
	leastLook = time.Second
	mostLook  = 15 * time.Second
	// leastWait is how long a process waits at least that is too early by the store's clock, which it knows roughly.
	leastWait = 10 * time.Millisecond
)

// dueIn is how long it is until something is to be done about the record: the next poll, or, once there is no more to poll
// for, at once.
func (r *record) dueIn() time.Duration {
	if r.Code == nil || r.Grant != nil {
		return time.Nanosecond
	}
	return max(time.Until(r.Code.Next), time.Nanosecond)
}

// takeover returns when somebody else polls in the place of the process whose turn it is. The record
// is waiting.
func (r *record) takeover() time.Time {
	due := r.Code.Next
	if r.By == "" {
		return due
	}
	at := due.Add(sendWithin + r.Code.Interval + margin)
	if last := r.Code.Expires.Add(-time.Second); at.After(last) { // the last chance
		at = last
	}
	if at.Before(due) {
		return due
	}
	return at
}

// A move is what a process does about a record.
type move uint8

const (
	wait  move = iota // until a time, and look again
	take              // the turn, or the token
	poll              // now
	leave             // it is over
)

// decides what the process me does about a record that waits; late says that it has taken its turn just
// now, and polls although that took long. at is when it looks again.
func (r *record) decide(me string, now time.Time, late bool) (m move, at time.Time) {
	due := r.Code.Next
	switch {
	case r.By == me && now.Before(due):
		return wait, due
	case r.By == me && (late || !now.After(due.Add(sendWithin))):
		return poll, now
	case r.By == me || !now.Before(r.takeover()):
		return take, now
	}
	return wait, r.look(now)
}

// look returns when who has not the turn looks again: soon after the next poll, at the latest when
// that has not come.
func (r *record) look(now time.Time) time.Time {
	at := r.Code.Next.Add(leastLook)
	if least := now.Add(leastLook); at.Before(least) {
		at = least
	}
	if most := now.Add(mostLook); at.After(most) {
		at = most
	}
	if over := r.takeover(); at.After(over) && over.After(now) {
		at = over
	}
	return at
}

// taken returns r with the turn taken by me: the next poll is due at once.
func (r *record) taken(me string, now time.Time) *record {
	saved := *r.Code
	if r.By != me && r.By != "" {
		saved.Doubt = true
	}
	saved.Next = now.Round(0)
	next := *r
	next.By, next.Code = me, &saved
	return &next
}
