package enginetest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Poll measures what a poll of a flight costs besides the poll: it is begun, and written, each on the disk of
// the server; by eight machines a processor at once.
func Poll(b *testing.B, s store.Shared) {
	var next atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		id := Grant(int(next.Add(1)))
		if _, err := s.Insert(b.Context(), id, store.Change{Generation: 1, Content: make([]byte, 1024), Due: time.Microsecond}); err != nil {
			b.Error(err)
		}
		for pb.Next() {
			_, fence, err := s.Begin(b.Context(), id, store.Attempt{Owner: "one", Lease: time.Minute, Due: time.Minute, IfDue: true})
			if err != nil || fence == 0 {
				b.Errorf("Begin: %d, %v", fence, err)
				return
			}
			if ok, err := s.Write(b.Context(), id, fence, 1, store.Change{Keep: true, Due: time.Microsecond}); err != nil || !ok {
				b.Errorf("Write: %t, %v", ok, err)
				return
			}
		}
	})
}
