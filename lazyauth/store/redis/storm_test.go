package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis"
)

func TestSignIns(t *testing.T)           { enginetest.TestSignIns(t, stormEngine(t)) }
func TestRefreshStorm(t *testing.T)      { enginetest.TestStorm(t, stormEngine(t)) }
func BenchmarkRefreshStorm(b *testing.B) { enginetest.BenchmarkStorm(b, stormEngine(b)) }

// stormEngine has keys of its own.
func stormEngine(tb testing.TB) enginetest.Engine {
	tb.Helper()
	opts := redis.Options{Name: fmt.Sprintf("fleet-%d", names.Add(1)), Timeout: time.Minute}
	others, err := clients(tb) // those of this question are among them
	if err != nil {
		tb.Fatal(err)
	}
	return enginetest.Engine{
		Open: func() (store.Shared, func(), error) {
			db, err := redis.Open(tb.Context(), server.URL(""), &opts)
			if err != nil {
				return nil, nil, err
			}
			return db, db.Close, nil
		},
		Connections: func() (int, error) {
			all, err := clients(tb)
			return all - others, err
		},
	}
}

// clients is how many connections the server has.
func clients(tb testing.TB) (int, error) {
	// A script reads the answer, of which Do returns the first line.
	line, err := server.Do(context.WithoutCancel(tb.Context()), "EVAL", `return(tonumber(string.match(redis.call([[INFO]],[[clients]]),[[connected_clients:(%d+)]])))`, "0")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimPrefix(line, ":"))
}
