package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Contents of rows begin with their format. A release that has a new one opens both, and goes on
// writing the one before until it is told otherwise, so that the machines of a fleet can be
// updated one after the other. There is one so far.
const formatRow = 1

// A rowSealer seals contents and hashes names. A content is
//
//	format, 1 byte | nonce, 12 bytes | entry, sealed | tag, 16 bytes
//
// by AES-256-GCM, with a key of its own: HMAC-SHA-256, by the sealing key, of what is associated,
// which is the format, the row's kind, key and generation, and the id of the sealing key. So an older content does not pass for the
// present one, nor that of one row for that of another, and no number of contents is too great for random nonces.
type rowSealer struct {
	ring  ring
	names []byte
}

func newRowSealer(names []byte, keys [][]byte) (s rowSealer, err error) {
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

// sealedBy names the key that seals.
func (s rowSealer) sealedBy() string { return s.ring[0].name() }

func (k ringKey) name() string { return hex.EncodeToString(k.id[:]) }

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

func (k ringKey) rowAssociated(format byte, id ID, generation uint64) []byte {
	out := append([]byte("lazyauth row\n"), format, byte(len(id.Kind)))
	out = append(out, id.Kind...)
	out = append(out, id.Key[:]...)
	out = binary.BigEndian.AppendUint64(out, generation)
	return append(out, k.id[:]...)
}

// seal returns the content of a row of this generation.
func (s rowSealer) seal(id ID, generation uint64, e *entry) []byte {
	k := s.ring[0]
	associated := k.rowAssociated(formatRow, id, generation)
	return k.rowAEAD(associated).Seal([]byte{formatRow}, nil, e.encode(), associated)
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
	if row.Content[0] != formatRow {
		return nil, fmt.Errorf("%w: another version of this program wrote it", ErrWrongKey)
	}
	for _, k := range s.ring {
		if k.name() != row.SealedBy {
			continue
		}
		associated := k.rowAssociated(formatRow, row.ID, row.Generation)
		text, err := k.rowAEAD(associated).Open(nil, nil, row.Content[1:], associated)
		if err != nil {
			return nil, damage("its content was altered after it was sealed, or is that of another row or time")
		}
		return decodeEntry(text)
	}
	return nil, fmt.Errorf("%w: it was sealed with key %.8q, and given were %s: give the older keys as well", ErrWrongKey, row.SealedBy, s.ring.ids())
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
