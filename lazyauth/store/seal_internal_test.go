package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func testRing(t testing.TB, numbers ...byte) ring {
	t.Helper()
	var keys [][]byte
	for _, n := range numbers {
		keys = append(keys, append(bytes.Repeat([]byte{n}, KeySize-1), 0))
	}
	r, err := newRing(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Whatever a file contains, opening it gives what was sealed or one of two
// errors.
func FuzzOpen(f *testing.F) {
	e := &entry{"alice", []byte(`{"access_token":"gho_1"}`)}
	name := nameOf(e.key)
	sealed, open := testRing(f, 1), plain{}
	for _, c := range []codec{sealed, open, testRing(f, 2)} {
		file := c.seal(name, e)
		f.Add(file)
		f.Add(file[:len(file)-1])
		f.Add(file[:headerSize])
		f.Add(bytes.Replace(file, []byte(magic), []byte("lazyauth grant "), 1))
	}
	f.Add([]byte(magic + "E"))
	f.Add([]byte(magic + "P"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, c := range []codec{sealed, open} {
			got, err := c.open(name, file)
			if err != nil {
				_, damaged := errors.AsType[damage](err)
				if damaged == errors.Is(err, ErrWrongKey) || got != nil {
					t.Fatalf("%v: %v", got, err)
				}
				continue
			}
			if got.key != e.key || got.record == nil || len(got.record) > MaxRecord {
				t.Fatalf("%v opened %q", c, got.key)
			}
			if c.String() == sealed.String() && !bytes.Equal(got.record, e.record) {
				t.Fatalf("a forged record: %q", got.record)
			}
		}
	})
}

// Not one bit of a file can change, nor its name, and it still opens.
func TestEveryBitCounts(t *testing.T) {
	e := &entry{"alice", []byte("tokens")}
	name := nameOf(e.key)
	for _, c := range []codec{testRing(t, 1), plain{}} {
		file := c.seal(name, e)
		if got, err := c.open(name, file); err != nil || string(got.record) != "tokens" {
			t.Fatalf("%v: %v, %v", c, got, err)
		}
		for bit := range 8 * len(file) {
			altered := bytes.Clone(file)
			altered[bit/8] ^= 1 << (bit % 8)
			got, err := c.open(name, altered)
			if err == nil {
				t.Errorf("%v: bit %d: opened %q", c, bit, got.record)
			}
			if errors.Is(err, ErrWrongKey) && bit/8 != len(magic) { // the format is told by one byte
				t.Errorf("%v: bit %d: %v", c, bit, err)
			}
		}
		for end := range file {
			if _, err := c.open(name, file[:end]); err == nil {
				t.Errorf("%v: opened the first %d bytes", c, end)
			}
		}
		if _, err := c.open(nameOf("bob"), file); err == nil {
			t.Errorf("%v: opened under another name", c)
		}
	}
}

// What was sealed for one name is not for another: the seal says so, and what is
// sealed says so as well.
func TestNamesAreSealed(t *testing.T) {
	r := testRing(t, 1)
	name := nameOf("alice")
	file := r.seal(name, &entry{"alice", nil})
	header, sealed := file[:headerSize], file[headerSize:]
	if _, err := r[0].aead.Open(nil, nil, sealed, associated(header, name)); err != nil {
		t.Error(err)
	}
	if _, err := r[0].aead.Open(nil, nil, sealed, associated(header, nameOf("bob"))); err == nil {
		t.Error("the seal is good for another name")
	}
	for _, c := range []codec{r, plain{}} {
		if e, err := c.open(name, c.seal(name, &entry{"bob", nil})); err == nil {
			t.Errorf("%v: under alice's name is what %s has", c, e.key)
		}
	}
}

// One record sealed twice looks different, and is as long as it has to be.
func TestSealsDiffer(t *testing.T) {
	r := testRing(t, 1)
	e := &entry{"alice", []byte("tokens")}
	a, b := r.seal("n", e), r.seal("n", e)
	if bytes.Equal(a[headerSize:headerSize+12], b[headerSize:headerSize+12]) || bytes.Equal(a[headerSize+12:], b[headerSize+12:]) {
		t.Error("they do not")
	}
	if len(a) != headerSize+12+1+len(e.key)+len(e.record)+16 {
		t.Errorf("%d bytes", len(a))
	}
	long := &entry{strings.Repeat("k", MaxKey), make([]byte, MaxRecord)}
	for _, c := range []codec{r, plain{}} {
		if n := len(c.seal(nameOf(long.key), long)); n > maxFile {
			t.Errorf("%v: %d bytes are over the limit of %d", c, n, maxFile)
		}
	}
}

// Neither the files nor anything printed gives a key away.
func TestKeysStayIn(t *testing.T) {
	key := []byte("0123456789abcdefghijklmnopqrstuv")
	r, err := newRing([][]byte{key})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{r.String(), fmt.Sprintf("%+v %#v %s %q", r, r, r, r), string(r.seal("n", &entry{"alice", nil}))} {
		for _, part := range []string{"01234567", "30313233", "48 49 50"} {
			if strings.Contains(text, part) {
				t.Errorf("%q contains %q", text, part)
			}
		}
	}
}

// What a keychain returns may be anything as well.
func FuzzHead(f *testing.F) {
	h := &head{"a", 3, itemSum("n", "t")}
	f.Add(h.String())
	f.Add(itemMagic + "1 a 65 x")
	f.Add(itemMagic + "1 a -1 x")
	f.Add(itemMagic + "2")
	f.Add("")
	f.Fuzz(func(t *testing.T, line string) {
		h, err := parseHead(line)
		if err != nil {
			if _, damaged := errors.AsType[damage](err); damaged == errors.Is(err, ErrWrongKey) {
				t.Fatal(err)
			}
			return
		}
		if h.further < 0 || h.further > maxPieces || h.generation == h.other() {
			t.Fatalf("%q: %+v", line, h)
		}
	})
}
