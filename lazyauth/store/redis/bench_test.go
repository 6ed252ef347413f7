package redis_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis"
)

// What a poll of a flight costs besides the poll: it is begun, and written, each on the disk of the server.
func BenchmarkPoll(b *testing.B) {
	db, err := redis.Open(b.Context(), server.URL(""), &redis.Options{Name: fmt.Sprintf("fleet-%d", names.Add(1))})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var next atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		id := enginetest.Grant(int(next.Add(1)))
		if _, err := db.Insert(b.Context(), id, store.Change{Generation: 1, Content: make([]byte, 1024), Due: time.Microsecond}); err != nil {
			b.Error(err)
		}
		for pb.Next() {
			_, fence, err := db.Begin(b.Context(), id, store.Attempt{Owner: "one", Lease: time.Minute, Due: time.Minute, IfDue: true})
			if err != nil || fence == 0 {
				b.Errorf("Begin: %d, %v", fence, err)
				return
			}
			if ok, err := db.Write(b.Context(), id, fence, 1, store.Change{Keep: true, Due: time.Microsecond}); err != nil || !ok {
				b.Errorf("Write: %t, %v", ok, err)
				return
			}
		}
	})
}
