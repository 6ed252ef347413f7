package store_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// people are whose records the killed process writes, in turn.
var people = []string{"alice", "bob", "carol"}

func personOf(n int) string { return people[n%len(people)] }

// recordOf is what the record is after update n: nil, which is a removal, or some
// bytes to some kilobytes that are like those of no other update.
func recordOf(n int) []byte {
	if n%10 == 0 {
		return nil
	}
	r := rand.New(rand.NewPCG(uint64(n), 0))
	record := []byte(strconv.Itoa(n) + ":")
	for range r.IntN(8000) {
		record = append(record, byte(r.Uint32()))
	}
	return record
}

func crashStore(dir string) (store.Store, error) {
	if strings.HasSuffix(dir, "unencrypted") {
		return store.UnencryptedFile(dir)
	}
	return store.File(dir, testKey(1))
}

// writeForever makes update after update, beginning with number n, and says the
// number of each that is done.
func writeForever(dir string, n int) error {
	s, err := crashStore(dir)
	if err != nil {
		return err
	}
	for ; ; n++ {
		err := s.Update(context.Background(), personOf(n), func([]byte) ([]byte, error) { return recordOf(n), nil })
		if err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// A process that writes records is killed at random moments. Each time, every
// update that it said was done is there, or the one after it that it had begun,
// and each record is a whole one.
func TestCrash(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 20
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	base := t.TempDir()
	var kept, begun, unfinished int
	for _, dir := range []string{base + "/encrypted", base + "/unencrypted"} {
		last := map[string]int{} // the number of the latest update of each record
		for n, kill := 1, 0; kill < kills/2; kill++ {
			p := start(t, "write", dir, n)
			done := func(line string) {
				if line != strconv.Itoa(n) {
					t.Fatalf("seed %d, kill %d: %q instead of %d: %s", seed, kill, line, n, p.errors.String())
				}
				last[personOf(n)] = n
				n++
				kept++
			}
			for range r.IntN(5) {
				done(p.says(t))
			}
			<-time.After(time.Duration(r.Int64N(int64(8 * time.Millisecond)))) // the moment is the fault
			must(t, 0, p.cmd.Process.Kill())
			for { // what it said before it died
				line, err := p.output.ReadString('\n')
				if err != nil {
					break
				}
				done(strings.TrimSpace(line))
			}
			if p.cmd.Wait() == nil || p.errors.Len() > 0 {
				t.Fatalf("seed %d, kill %d: it ended by itself: %s", seed, kill, p.errors.String())
			}

			if left, _ := filepath.Glob(dir + "/*.tmp"); left != nil {
				unfinished++
			}
			s, err := crashStore(dir)
			must(t, s, err)
			for _, who := range people {
				record, err := s.Load(t.Context(), who)
				switch {
				case err != nil:
					t.Fatalf("seed %d, kill %d: %v", seed, kill, err)
				case same(record, recordOf(last[who])):
				case who == personOf(n) && same(record, recordOf(n)):
					last[who] = n
					begun++
				default:
					t.Fatalf("seed %d, kill %d: %s has %.10q after update %d, and %d was begun", seed, kill, who, record, last[who], n)
				}
			}
			n++
		}
		if aside, _ := filepath.Glob(dir + "/*.damaged"); aside != nil {
			t.Errorf("damaged: %q", aside)
		}
	}
	t.Logf("kills=%d (%d acknowledged updates, %d found that were not; %d times a file was left unfinished)", kills, kept, begun, unfinished)
}

func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
