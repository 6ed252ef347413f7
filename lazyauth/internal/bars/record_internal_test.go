package bars

import (
	"bytes"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Whatever a store has is read without a panic, and what is read is written so that it reads the
// same.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		"", "{}", `{"v":1}`, `{"v":1,"accounts":["home","work"],"bar":{"since":"2026-01-02T03:04:05Z"}}`,
		`{"v":1,"n":2,"last":[{"n":1,"who":"a"},{"n":2,"who":"b"}]}`, `{"v":1,"n":1,"last":[{"n":7,"who":"a"}]}`, `{"v":1,"n":18446744073709551615}`,
	} {
		f.Add([]byte(text), uint64(1))
	}
	f.Fuzz(func(t *testing.T, text []byte, n uint64) {
		if r, err := decodeRecord(text); err == nil {
			again, err := decodeRecord(r.encode())
			if err != nil || !bytes.Equal(again.encode(), r.encode()) {
				t.Errorf("a record does not read as it was written: %v", err)
			}
		}
		j, err := decodeJournal(text)
		if err != nil {
			return
		}
		if whom, all := j.since(n); !all && uint64(len(whom)) > j.N-n {
			t.Errorf("%d entries since %d of %d", len(whom), n, j.N)
		}
		j.add("somebody")
		if whom, all := j.since(j.N - 1); all || len(whom) != 1 {
			t.Errorf("the last entry is not found: %v, %t", whom, all)
		}
	})
}

// The longest records fit into a store.
func TestRecord_Fits(t *testing.T) {
	r, j := new(record), new(journal)
	for n := range 2 * maxAccounts {
		r.add(string(bytes.Repeat([]byte{byte('a' + n%26)}, 60)) + string(rune('A'+n/26)) + "\u2028é")
		j.add(hash("somebody"), hash("else"))
	}
	for range maxNames {
		r.Names = append(r.Names, Person{Issuer: string(bytes.Repeat([]byte{1}, maxName))})
	}
	r.Known, r.Bar = hash("somebody"), &Bar{By: string(bytes.Repeat([]byte{1}, maxText))}
	if n := len(r.encode()); n > store.MaxRecord || !r.More {
		t.Errorf("a record of a person has %d bytes, more %t", n, r.More)
	}
	if n := len(j.encode()); n > store.MaxRecord || len(j.Entries) != maxEntries {
		t.Errorf("the journal has %d bytes and %d entries", n, len(j.Entries))
	}
}

// What an earlier release has written reads as it did, and is written like that; what a later one has added is passed over.
// The texts are never to be changed: of processes that share a store some are of the release before.
func TestRecord_WrittenBefore(t *testing.T) {
	const person = `{"v":1,"issuer":"https://as.example","subject":"ada","accounts":["home","work"],"more":true,"bar":{"since":"2026-01-02T03:04:05Z",` +
		`"until":"2027-01-02T03:04:05Z","by":"eve"},"known":"57de4cf40144bdf7d00010f2f5557a7d","names":[{"issuer":"https://other.example","subject":"a"}]}`
	const entries = `{"v":1,"n":2,"last":[{"n":1,"who":"a"},{"n":2,"who":"b"}]}`
	later := func(text string) string { return text[:len(text)-1] + `,"later":{"than":"this"}}` }
	for _, written := range []string{person, later(person)} {
		if r, err := decodeRecord([]byte(written)); err != nil || string(r.encode()) != person {
			t.Errorf("it is written as\n%s, and was\n%s: %v", r.encode(), person, err)
		}
	}
	for _, written := range []string{entries, later(entries)} {
		if j, err := decodeJournal([]byte(written)); err != nil || string(j.encode()) != entries {
			t.Errorf("it is written as\n%s, and was\n%s: %v", j.encode(), entries, err)
		}
	}
}
