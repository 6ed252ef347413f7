package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"time"
)

// CheckAttempt returns what an engine must not be asked to begin; it is for those who write one.
func CheckAttempt(id ID, a Attempt) error {
	switch {
	case !isKind(id.Kind):
		return errKind
	case len(a.Owner) < 1 || len(a.Owner) > 64 || !isASCII(a.Owner):
		return errors.New("store: an owner is 1 to 64 printable ASCII characters")
	case a.Lease <= 0:
		return errors.New("store: an attempt without a lease")
	case a.Due < 0 || a.Ends < 0:
		return errNegative
	}
	return nil
}

// CheckInsert returns what an engine must not be asked to insert; it is for those who write one.
func CheckInsert(id ID, c Change) error {
	if c.Due < 0 || c.Ends < 0 || c.Keep {
		return errNegative
	}
	return CheckChange(id, 0, c)
}

// CheckChange returns what an engine must not be asked to write in the place of a generation; it is
// for those who write one.
func CheckChange(id ID, generation uint64, c Change) error {
	switch {
	case !isKind(id.Kind):
		return errKind
	case c.Content != nil && len(c.Content) == 0, len(c.Content) > MaxContent:
		return fmt.Errorf("store: a content of %d bytes: a row takes 1 to %d", len(c.Content), MaxContent)
	case !c.Keep && c.Generation <= generation:
		return errors.New("store: a generation that is not after the one it replaces")
	}
	return nil
}

var (
	errKind     = errors.New("store: a kind is 1 to 16 letters from a to z")
	errNegative = errors.New("store: a time before now, or what is to be kept where there is nothing")
)

func isKind(s string) bool {
	for _, c := range []byte(s) {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 16
}

func isASCII(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func (r *Row) ended(now time.Time) bool { return !r.Ends.IsZero() && !now.Before(r.Ends) }

// held reports whether an attempt is under way.
func (r *Row) held(now time.Time) bool { return r.Owner != "" && now.Before(r.Until) }

func (r *Row) isDue(now time.Time) bool { return !r.Due.IsZero() && !now.Before(r.Due) }

// clone returns a copy that shares nothing with r.
func (r *Row) clone() *Row {
	if r == nil {
		return nil
	}
	c := *r
	c.Content = bytes.Clone(r.Content)
	return &c
}

// micros is what the first fence of a row is.
func micros(t time.Time) uint64 { return uint64(max(t.UnixMicro(), 1)) }

// later is a time from now; zero if there is none.
func later(now time.Time, d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return now.Add(d)
}

// compare orders by kind, then by key.
func (id ID) compare(other ID) int {
	return cmp.Or(cmp.Compare(id.Kind, other.Kind), bytes.Compare(id.Key[:], other.Key[:]))
}
