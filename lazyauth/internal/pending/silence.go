package pending

import (
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/records"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// silentFor is how long a store that machines share is not asked after it has not answered one sign-in. A schedule asks it
// for few at a time: if each waited for it in turn, of many people the last would learn minutes late that their codes
// have expired.
const silentFor = 5 * time.Second

// heard notes whether the store has answered somebody who waits.
func (f *Flights) heard(err error) {
	if err == nil {
		f.silence.Store(nil)
		return
	}
	if _, slow := errors.AsType[*records.Slow](err); slow && store.IsFleet(f.store) {
		f.silence.Store(&failure{err, time.Now().Add(silentFor)})
	}
}

// silent returns why the store is not asked now; nil if it is.
func (f *Flights) silent() error {
	if was := f.silence.Load(); was != nil && time.Now().Before(was.until) {
		return was.err
	}
	return nil
}
