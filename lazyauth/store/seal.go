package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// KeySize is the length of a sealing key in bytes (AES-256).
const KeySize = 32

// A file begins with what it is. The last byte tells the formats apart; a later
// version takes another.
const (
	magic       = "lazyauth grant\n"
	formatAES   = 'E' // encrypted: see ring
	formatPlain = 'P' // not encrypted: see plain
	magicSize   = len(magic) + 1
)

// maxFile is the length of the longest file that a codec writes, with room to
// spare.
const maxFile = MaxRecord + MaxKey + 256

// A codec turns entries into the content of files, and back. What it opens comes
// from a disk, and may be anything.
type codec interface {
	seal(name string, e *entry) []byte
	// open fails with an error of type damage, or an [ErrWrongKey].
	open(name string, file []byte) (*entry, error)
	String() string
}

// format returns the format of a file, and the rest of it.
func format(file []byte) (byte, []byte, error) {
	if len(file) < magicSize || string(file[:len(magic)]) != magic {
		return 0, nil, damage("it does not begin as a grant does")
	}
	return file[len(magic)], file[magicSize:], nil
}

// A ring holds the keys that seal files with AES-256-GCM. A file is
//
//	magic, 'E' | key id, 16 bytes | CRC-32 of all that, 4 bytes | nonce | entry, sealed
//
// and the seal covers the header and the file's name, so that no file passes for
// another. The key id tells a wrong key from damage, as long as the sum is right:
// a file that only awaits its key must not be set aside.
type ring []ringKey

type ringKey struct {
	id   [16]byte
	aead cipher.AEAD
	rows []byte // that of the keys of rows
}

const headerSize = magicSize + 16 + 4

// newRing derives from each key one that seals and a name that gives nothing of
// it away, so that the operator's key may have other uses.
func newRing(keys [][]byte) (ring, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("store: there is no key to seal files with; it needs %d random bytes", KeySize)
	}
	var r ring
	for n, key := range keys {
		if len(key) != KeySize {
			return nil, fmt.Errorf("store: sealing key %d has %d bytes; it needs %d random bytes", n+1, len(key), KeySize)
		}
		if uniform(key) {
			return nil, fmt.Errorf("store: sealing key %d is not random: all of its bytes are the same", n+1)
		}
		var k ringKey
		id, err := hkdf.Key(sha256.New, key, nil, "lazyauth store 1 key id", len(k.id))
		if err != nil {
			return nil, fmt.Errorf("store: sealing key %d: %w", n+1, err)
		}
		copy(k.id[:], id)
		secret, err := hkdf.Key(sha256.New, key, nil, "lazyauth store 1 seal", KeySize)
		if err != nil {
			return nil, fmt.Errorf("store: sealing key %d: %w", n+1, err)
		}
		block, err := aes.NewCipher(secret)
		if err != nil {
			return nil, fmt.Errorf("store: sealing key %d: %w", n+1, err)
		}
		// A random 96-bit nonce is safe for 2³² records a key.
		if k.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, fmt.Errorf("store: sealing key %d: %w", n+1, err)
		}
		if k.rows, err = hkdf.Key(sha256.New, key, nil, "lazyauth store 1 rows", KeySize); err != nil {
			return nil, fmt.Errorf("store: sealing key %d: %w", n+1, err)
		}
		r = append(r, k)
	}
	return r, nil
}

// uniform recognises the key that nobody filled in.
func uniform(key []byte) bool {
	for _, b := range key {
		if b != key[0] {
			return false
		}
	}
	return true
}

func (r ring) seal(name string, e *entry) []byte {
	header := append([]byte(magic), formatAES)
	header = append(header, r[0].id[:]...)
	header = binary.BigEndian.AppendUint32(header, crc32.ChecksumIEEE(header))
	return r[0].aead.Seal(header, nil, e.encode(), associated(header, name))
}

// associated is what the seal covers beside the entry. The header has a fixed
// length.
func associated(header []byte, name string) []byte {
	return append(append(make([]byte, 0, len(header)+len(name)), header...), name...)
}

func (r ring) open(name string, file []byte) (*entry, error) {
	kind, rest, err := format(file)
	switch {
	case err != nil:
		return nil, err
	case kind == formatPlain:
		return nil, fmt.Errorf("%w: it is not encrypted", ErrWrongKey)
	case kind != formatAES:
		return nil, fmt.Errorf("%w: it is %w of this program", ErrWrongKey, ErrFormat)
	case len(file) < headerSize:
		return nil, damage("it was cut short")
	}
	header := file[:headerSize]
	if sum := binary.BigEndian.Uint32(header[headerSize-4:]); sum != crc32.ChecksumIEEE(header[:headerSize-4]) {
		return nil, damage("its header was altered")
	}
	id := [16]byte(rest[:16])
	for _, k := range r {
		if k.id != id {
			continue
		}
		text, err := k.aead.Open(nil, nil, file[headerSize:], associated(header, name))
		if err != nil {
			return nil, damage("it was altered or cut short after it was sealed")
		}
		return decode(name, text)
	}
	return nil, fmt.Errorf("%w: it was sealed with key %x, and given were %s", ErrWrongKey, id[:4], r.ids())
}

// ids names the keys by the beginnings of their ids.
func (r ring) ids() string {
	var ids []string
	for _, k := range r {
		ids = append(ids, fmt.Sprintf("%x", k.id[:4]))
	}
	return strings.Join(ids, ", ")
}

func (r ring) String() string { return "encrypted" }

// GoString keeps the keys out of %#v.
func (r ring) GoString() string { return "store.ring(" + r.ids() + ")" }

// plain is the format of files that are not encrypted:
//
//	magic, 'P' | SHA-256 of the name and the entry, 32 bytes | entry
//
// The sum detects damage. It keeps nobody from writing another file.
type plain struct{}

func (plain) seal(name string, e *entry) []byte {
	text := e.encode()
	sum := plainSum(name, text)
	out := append([]byte(magic), formatPlain)
	return append(append(out, sum[:]...), text...)
}

func plainSum(name string, text []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(name), text...))
}

func (plain) open(name string, file []byte) (*entry, error) {
	kind, rest, err := format(file)
	switch {
	case err != nil:
		return nil, err
	case kind == formatAES:
		return nil, fmt.Errorf("%w: it is encrypted", ErrWrongKey)
	case kind != formatPlain:
		return nil, fmt.Errorf("%w: it is %w of this program", ErrWrongKey, ErrFormat)
	case len(rest) < sha256.Size:
		return nil, damage("it was cut short")
	}
	text := rest[sha256.Size:]
	if plainSum(name, text) != [sha256.Size]byte(rest[:sha256.Size]) {
		return nil, damage("it was altered or cut short")
	}
	return decode(name, text)
}

func (plain) String() string { return "unencrypted" }
