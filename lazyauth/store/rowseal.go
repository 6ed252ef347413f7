package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// Formats of the contents of rows, which begin with theirs. A release that has a new one opens it beside those before, and
// goes on writing the one before until it is told otherwise ([FleetOptions].Format), so that the machines of a fleet
// can be updated one after the other, and back.
const (
	// Format1 is opened by all releases.
	Format1 = 1
	// Format2 has the seal cover whose a row is, too: who can write the rows cannot take a record away from what [Fleet.KeysOf]
	// lists, or put it in somebody else's list, and have it used. And it has the length of a content rounded up, so that who can
	// read the rows learns less of what is in them. It costs 128 bytes a row, in the mean.
	Format2 = 2
)

// defaultFormat is the one that the release before this one writes.
const defaultFormat = Format1

// A rowSealer seals contents and hashes names. A content is
//
//	format, 1 byte | nonce, 12 bytes | entry, sealed | tag, 16 bytes
//
// by AES-256-GCM, with a key of its own: HMAC-SHA-256, by the sealing key, of what is associated,
// which is the format, the row's kind, key and generation, from Format2 on its person, and the id of the sealing key. So an older content does not pass for the
// present one, nor that of one row for that of another, and no number of contents is too great for random nonces.
// From Format2 on there is a byte 0x80 behind the entry, and zeros up to a multiple of padding (ISO/IEC 7816-4).
type rowSealer struct {
	ring   ring
	names  []byte
	format byte // of what is sealed
}

func newRowSealer(names []byte, keys [][]byte, format int) (s rowSealer, err error) {
	if format == 0 {
		format = defaultFormat
	}
	if format < Format1 || format > Format2 {
		return s, fmt.Errorf("store: there is no format %d of rows: this release has %d to %d", format, Format1, Format2)
	}
	s.format = byte(format)
	if len(names) != KeySize || uniform(names) {
		return s, fmt.Errorf("store: the key of names needs %d random bytes, and has to stay the same for ever", KeySize)
	}
	if s.names, err = hkdf.Key(sha256.New, names, nil, "lazyauth store 1 names", KeySize); err != nil {
		return s, fmt.Errorf("store: the key of names: %w", err)
	}
	s.ring, err = newRing(keys)
	return s, err
}

// hash returns what stands for a name of this kind. The length tells where the kind ends.
func (s rowSealer) hash(kind, name string) (h Hash) {
	mac := hmac.New(sha256.New, s.names)
	mac.Write(binary.AppendUvarint(nil, uint64(len(kind))))
	mac.Write([]byte(kind))
	mac.Write([]byte(name))
	mac.Sum(h[:0])
	return h
}

// sealedBy names the key that seals, and the format, so that what is in another one is listed for [Fleet.Rotate], too.
func (s rowSealer) sealedBy() string { return s.ring[0].name(s.format) }

func (k ringKey) name(format byte) string {
	name := hex.EncodeToString(k.id[:])
	if format > Format1 {
		name += "/" + strconv.Itoa(int(format))
	}
	return name
}

func (k ringKey) rowAEAD(associated []byte) cipher.AEAD {
	mac := hmac.New(sha256.New, k.rows)
	mac.Write(associated)
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // it is AES
	}
	return aead
}

func (k ringKey) rowAssociated(format byte, row *Row) []byte {
	out := append([]byte("lazyauth row\n"), format, byte(len(row.Kind)))
	out = append(out, row.Kind...)
	out = append(out, row.Key[:]...)
	out = binary.BigEndian.AppendUint64(out, row.Generation)
	if format >= Format2 {
		out = append(out, row.Person[:]...)
	}
	return append(out, k.id[:]...)
}

// seal gives a row, of which kind, key, person and generation are set, this content.
func (s rowSealer) seal(id ID, c *Change, e *entry) {
	k, text := s.ring[0], e.encode()
	if s.format >= Format2 {
		text = pad(text)
	}
	associated := k.rowAssociated(s.format, &Row{ID: id, Person: c.Person, Generation: c.Generation})
	c.SealedBy = s.sealedBy()
	c.Content = k.rowAEAD(associated).Seal([]byte{s.format}, nil, text, associated)
}

// padding is what the lengths of entries are rounded up to a multiple of.
const padding = 256

func pad(text []byte) []byte {
	text = append(text, 0x80)
	return append(text, make([]byte, (padding-len(text)%padding)%padding)...)
}

func unpad(text []byte) ([]byte, error) {
	if len(text) == 0 || len(text)%padding != 0 {
		return nil, damage("its length is none that there is")
	}
	last := bytes.LastIndexByte(text, 0x80)
	if last < len(text)-padding || len(bytes.Trim(text[last+1:], "\x00")) > 0 {
		return nil, damage("its padding is none")
	}
	return text[:last], nil
}

// open returns what is in a row that has a content. It fails with an error of type damage, or an
// [ErrWrongKey].
func (s rowSealer) open(row *Row) (*entry, error) {
	e, err := s.openAny(row)
	if err == nil && s.hash(row.Kind, e.key) != row.Key {
		return nil, damage("it belongs to another key")
	}
	return e, err
}

// openAny is open for rows whose key does not stand for a name.
func (s rowSealer) openAny(row *Row) (*entry, error) {
	if len(row.Content) == 0 || len(row.Content) > MaxContent {
		return nil, damage("its content has a length that none has")
	}
	format := row.Content[0]
	if format < Format1 || format > Format2 {
		return nil, laterFormat(format)
	}
	for _, k := range s.ring {
		if k.name(format) != row.SealedBy {
			continue
		}
		associated := k.rowAssociated(format, row)
		text, err := k.rowAEAD(associated).Open(nil, nil, row.Content[1:], associated)
		if err != nil {
			return nil, damage("its content was altered after it was sealed, or is that of another row, person or time")
		}
		if format >= Format2 {
			if text, err = unpad(text); err != nil {
				return nil, err
			}
		}
		return decodeEntry(text)
	}
	return nil, fmt.Errorf("%w: it was sealed with key %.8q, and given were %s: give the older keys as well", ErrWrongKey, row.SealedBy, s.ring.ids())
}

// laterFormat says what to do about a row that this release cannot open.
func laterFormat(format byte) error {
	return fmt.Errorf("%w: %w: it is in format %d, and this release opens %d to %d: update this machine; or, to go back to this release, have all that "+
		"run the later one write the format before it (FleetOptions.Format), and what there is sealed anew (Fleet.Rotate)",
		ErrWrongKey, ErrFormat, format, Format1, Format2)
}

// GoString keeps the keys out of %#v.
func (s rowSealer) GoString() string { return s.ring.GoString() }

// person returns what stands for a person; for nobody, nobody.
func (s rowSealer) person(name string) Hash {
	if name == "" {
		return Hash{}
	}
	return s.hash("person!", name)
}
