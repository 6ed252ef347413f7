package store_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Files for a server: the operator gives the key, and after a change of keys the old one
// as well.
func ExampleFile() {
	var keys [][]byte
	for _, name := range []string{"NOTES_GRANTS_KEY", "NOTES_GRANTS_OLD_KEY"} {
		text, ok := os.LookupEnv(name)
		if !ok {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			log.Fatalf("%s is not base64", name)
		}
		keys = append(keys, key)
	}
	grants, err := store.File("/var/lib/notes-mcp/grants", keys...)
	if err != nil {
		log.Fatal(err)
	}
	_ = grants // for lazyauth's Options.Store
}

// The keychain of one person's machine, under the name that they will find there.
func ExampleKeychain() {
	grants, err := store.Keychain("notes-mcp")
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("grants are kept %v", grants) // in the keychain
}

// The keychain where there is one, otherwise files encrypted with the operator's
// key, and the operator is told.
func ExampleFirstAvailable() {
	key, err := base64.StdEncoding.DecodeString(os.Getenv("NOTES_GRANTS_KEY"))
	if err != nil {
		log.Fatal("NOTES_GRANTS_KEY is not base64")
	}
	state, err := os.UserConfigDir()
	if err != nil {
		log.Fatal(err)
	}
	files, err := store.File(filepath.Join(state, "notes-mcp", "grants"), key)
	if err != nil {
		log.Fatal(err)
	}
	keychain, err := store.Keychain("notes-mcp")
	if err != nil {
		log.Fatal(err)
	}
	grants, err := store.FirstAvailable(func(used store.Store, why error) {
		log.Printf("grants are kept %v: %v", used, why) // to standard error
	}, keychain, files)
	if err != nil {
		log.Fatal(err)
	}
	_ = grants // for lazyauth's Options.Store
}

// Two machines share a record by way of a database, which has neither its key nor what is in it.
func ExampleNewFleet() {
	names, key := make([]byte, store.KeySize), make([]byte, store.KeySize) // 32 bytes each, of the operator's
	_, _ = rand.Read(names)
	_, _ = rand.Read(key)
	database := store.NewSharedMemory(nil) // or that of lazyauth/store/postgres, or of lazyauth/store/redis
	machine, err := store.NewFleet(database, names, [][]byte{key}, nil)
	if err != nil {
		log.Fatal(err)
	}
	terms := &store.Terms{Over: func(found []byte) bool { return string(found) == "token 1" }}
	err = machine.Update(store.WithTerms(context.Background(), terms), "grant of ada", func(old []byte) ([]byte, error) {
		ctx, cancel := terms.Bound(context.Background()) // for the request, which must not outlast the lease
		defer cancel()
		return []byte("token 1"), ctx.Err()
	})
	fmt.Println("written:", err == nil, "in doubt:", terms.InDoubt)
	another, err := store.NewFleet(database, names, [][]byte{key}, nil)
	if err != nil {
		log.Fatal(err)
	}
	record, err := another.Load(context.Background(), "grant of ada")
	fmt.Printf("%s %v\n", record, err)
	// Output:
	// written: true in doubt: false
	// token 1 <nil>
}

// What happens to a machine that shares a store, for Prometheus, at an address where callers do not get to.
func ExampleFleetCounts_WriteTo() {
	fleet, err := store.NewFleet(store.NewSharedMemory(nil), []byte("a key of names, of 32 bytes ...."), [][]byte{[]byte("a sealing key, of 32 bytes .....")}, nil)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = fleet.Counts().WriteTo(w)
	})
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", nil))
	lines := strings.SplitAfterN(answer.Body.String(), "\n", 4)
	fmt.Print(lines[0], lines[1], lines[2])
	// Output:
	// # HELP lazyauth_fleet_takeovers_total Attempts of other machines that did not end them, and which this one went on from.
	// # TYPE lazyauth_fleet_takeovers_total counter
	// lazyauth_fleet_takeovers_total 0
}
