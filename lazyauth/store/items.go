package store

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Platforms bound what one item of a keychain holds: 2560 bytes on Windows; on
// macOS the library writes a command of at most 4095 bytes, of which base64 takes
// a quarter. OAuth tokens can be longer than that, and a grant has two of them,
// so an entry is split. The bound is the same everywhere, so that what works on
// one platform works on the others.
//
// The first item, under the entry's name, is
//
//	lazyauth grant 1 <generation> <further items> <sum>\n<piece>
//
// and further ones, <name>.<generation>.<n>, are pieces only. Put together they
// are the entry in base64. There are two generations, which take turns: the new
// one is written beside the old one, the first item then replaces the old one as
// a whole, and only after that do the old pieces go. Whatever moment a process
// dies in, the first item has its pieces; and what it leaves behind is found by
// the next one.
const (
	itemMagic = "lazyauth grant "
	pieceSize = 1900
	maxPieces = 64 // MaxRecord needs 47
)

// A head is the first line of an entry's first item.
type head struct {
	generation string // "a" or "b"
	further    int
	sum        string
}

func (h *head) other() string {
	if h != nil && h.generation == "a" {
		return "b"
	}
	return "a"
}

func (h *head) String() string {
	return fmt.Sprintf("%s1 %s %d %s", itemMagic, h.generation, h.further, h.sum)
}

func parseHead(line string) (*head, error) {
	rest, ok := strings.CutPrefix(line, itemMagic)
	if !ok {
		return nil, damage("it does not begin as a grant does")
	}
	version, rest, _ := strings.Cut(rest, " ")
	if version != "1" {
		return nil, fmt.Errorf("store: an item of the keychain: %w: it is %w of this program", ErrWrongKey, ErrFormat)
	}
	fields := strings.Split(rest, " ")
	if len(fields) != 3 || fields[0] != "a" && fields[0] != "b" {
		return nil, damage("its first line is malformed")
	}
	further, err := strconv.ParseUint(fields[1], 10, 8)
	if err != nil || further > maxPieces {
		return nil, damage("its first line is malformed")
	}
	return &head{fields[0], int(further), fields[2]}, nil
}

func itemSum(name, text string) string {
	sum := sha256.Sum256([]byte(name + "\n" + text))
	return hex.EncodeToString(sum[:])
}

func pieceName(name, generation string, n int) string {
	return name + "." + generation + "." + strconv.Itoa(n)
}

// trialName is the account of the item that shows that the keychain can be written.
func trialName(name string) string { return name + ".trial" }

// head returns the first item of an entry, nil if there is none.
func (k *keychain) head(name string) (*head, string, error) {
	text, ok, err := k.get(name)
	if !ok || err != nil {
		return nil, "", err
	}
	line, piece, _ := strings.Cut(text, "\n")
	h, err := parseHead(line)
	return h, piece, err
}

func (k *keychain) read(name string) (*entry, error) {
	h, text, err := k.head(name)
	if h == nil || err != nil {
		return nil, err
	}
	for n := range h.further {
		piece, ok, err := k.get(pieceName(name, h.generation, n))
		if err != nil {
			return nil, err
		}
		if !ok || len(piece) > pieceSize {
			return nil, damage("a piece of it is missing")
		}
		text += piece
	}
	if itemSum(name, text) != h.sum {
		return nil, damage("it was altered")
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, damage("it was altered")
	}
	return decode(name, plain)
}

// store writes an entry under the lock of name.
func (k *keychain) store(name string, e *entry) error {
	old, _, err := k.head(name)
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(e.encode())
	h := &head{generation: old.other(), sum: itemSum(name, text)}
	first := text[:min(pieceSize, len(text))]
	for rest := text[len(first):]; rest != ""; h.further++ {
		piece := rest[:min(pieceSize, len(rest))]
		if err := k.put(pieceName(name, h.generation, h.further), piece); err != nil {
			return err
		}
		rest = rest[len(piece):]
	}
	if err := k.put(name, h.String()+"\n"+first); err != nil {
		return err
	}
	// The record is durable now. Pieces that could not be removed are tried
	// again with the next one.
	_ = k.sweep(name, h.generation, h.further)
	_ = k.sweep(name, h.other(), 0)
	return nil
}

// sweep removes pieces from number from on. They are written upwards and removed
// downwards, so that they have no gap even after a crash.
func (k *keychain) sweep(name, generation string, from int) error {
	end := from
	for end < maxPieces {
		_, ok, err := k.get(pieceName(name, generation, end))
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		end++
	}
	for n := end - 1; n >= from; n-- {
		if err := k.delete(pieceName(name, generation, n)); err != nil {
			return err
		}
	}
	return nil
}

// erase removes an entry under the lock of name.
func (k *keychain) erase(name string) error {
	if err := k.delete(name); err != nil {
		return err
	}
	if err := k.sweep(name, "a", 0); err != nil {
		return err
	}
	if err := k.sweep(name, "b", 0); err != nil {
		return err
	}
	return k.delete(trialName(name))
}

// setAside moves the first item of an entry. The pieces stay until the next
// record of that name: without the first item they are of no use.
func (k *keychain) setAside(name string) (string, error) {
	text, ok, err := k.get(name)
	if !ok || err != nil {
		return "gone", err
	}
	aside := name + ".damaged." + time.Now().UTC().Format("20060102T150405Z")
	if len(text) > 2*pieceSize { // more than fits, so not ours
		text = text[:2*pieceSize]
	}
	if err := k.put(aside, text); err != nil {
		return "", err
	}
	if err := k.delete(name); err != nil {
		return "", err
	}
	return fmt.Sprintf("in the keychain as %s of %q", aside, k.service), nil
}
