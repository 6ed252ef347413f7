package bars

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// recordVersion is that of the records written here. One of another version is not understood,
// and so not taken for nothing: nobody whom it is about gets a grant.
const recordVersion = 1

const (
	// maxAccounts is how many accounts of a person are remembered; see Book.Accounts.
	maxAccounts = 200
	// maxBegun is how many accounts are remembered that a sign-in was begun for: more than a person may have
	// sign-ins under way. Whoever calls can name any.
	maxBegun = 32
	// maxEntries is how many entries the journal has. A hundred bytes each, so that it fits
	// into a record of a store.
	maxEntries = 256
	// maxRecord bounds what is decoded.
	maxRecord = 256 << 10
	// maxText is the length of the longest text of an operator's, in bytes.
	maxText = 256
)

// A Person is who somebody is to those who vouch for them, whatever account they use.
type Person struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// A Bar says that a person may have no grant.
type Bar struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // zero: until it is lifted
	By    string    `json:"by,omitempty"`   // who says so
}

// Holds reports whether the bar is in force.
func (b Bar) Holds(now time.Time) bool { return b.Until.IsZero() || now.Before(b.Until) }

// A record is what is kept of a person.
type record struct {
	Version  int      `json:"v"`
	Issuer   string   `json:"issuer,omitempty"` // empty, both, once the person was erased
	Subject  string   `json:"subject,omitempty"`
	Accounts []string `json:"accounts,omitempty"` // those with a name, in order
	More     bool     `json:"more,omitempty"`     // there were more
	Begun    []string `json:"begun,omitempty"`    // those that sign-ins were begun for, of late, and that are not among Accounts
	Bar      *Bar     `json:"bar,omitempty"`
	Known    string   `json:"known,omitempty"` // a hash of who they are to others; see Book.Name
	Names    []Person `json:"names,omitempty"` // those who are known by this one
}

// A journal has the last entries, with numbers that follow one another.
type journal struct {
	Version int     `json:"v"`
	N       uint64  `json:"n"` // of the last entry
	Entries []entry `json:"last,omitempty"`
}

// An entry says that something of somebody's was ended, or may not be.
type entry struct {
	N   uint64 `json:"n"`
	Who string `json:"who"` // a hash: of a person, or of one account
}

var (
	errForeign    = errors.New("lazyauth: what the store has of a person was written by another version")
	errUnreadable = errors.New("lazyauth: what the store has of a person cannot be read")
)

// decode reads a record into one of these types; nil stands for an empty one. Its errors quote
// nothing of it.
func decode[T record | journal](text []byte, version func(*T) int) (*T, error) {
	read := new(T)
	if text == nil {
		return read, nil
	}
	if len(text) > maxRecord || json.Unmarshal(text, read) != nil {
		return nil, errUnreadable
	}
	if version(read) != recordVersion {
		return nil, errForeign
	}
	return read, nil
}

func decodeRecord(text []byte) (*record, error) {
	return decode(text, func(r *record) int { return r.Version })
}

func decodeJournal(text []byte) (*journal, error) {
	j, err := decode(text, func(j *journal) int { return j.Version })
	if err != nil {
		return nil, err
	}
	if j.N > 1<<62 { // which nobody counts to
		return nil, errUnreadable
	}
	for n, e := range j.Entries { // those before it are of no use if a number is missing
		if e.N != j.N-uint64(len(j.Entries)-1-n) {
			return nil, errUnreadable
		}
	}
	return j, nil
}

// encode returns nil for a record that says nothing.
func (r *record) encode() []byte {
	if len(r.Accounts) == 0 && !r.More && len(r.Begun) == 0 && r.Bar == nil && r.Known == "" && len(r.Names) == 0 {
		return nil
	}
	r.Version = recordVersion
	return encode(r)
}

func (j *journal) encode() []byte {
	j.Version = recordVersion
	return encode(j)
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // text, times and numbers
	}
	return text
}

// add adds an account, and reports whether that changes anything.
func (r *record) add(account string) bool {
	at, found := slices.BinarySearch(r.Accounts, account)
	switch {
	case found, r.More && len(r.Accounts) >= maxAccounts:
		return false
	case len(r.Accounts) >= maxAccounts:
		r.More = true
	default:
		r.Accounts = slices.Insert(r.Accounts, at, account)
	}
	r.Begun = slices.DeleteFunc(r.Begun, func(begun string) bool { return begun == account })
	return true
}

// begin notes a sign-in for an account, and reports whether that changes anything.
func (r *record) begin(account string) bool {
	if _, found := slices.BinarySearch(r.Accounts, account); found || slices.Contains(r.Begun, account) {
		return false
	}
	r.Begun = append(r.Begun, account)
	r.Begun = r.Begun[max(0, len(r.Begun)-maxBegun):]
	return true
}

// add adds an entry about each of these.
func (j *journal) add(whom ...string) {
	for _, who := range whom {
		j.N++
		j.Entries = append(j.Entries, entry{j.N, who})
	}
	if extra := len(j.Entries) - maxEntries; extra > 0 {
		j.Entries = slices.Delete(j.Entries, 0, extra)
	}
}

// since returns whom the entries after number n are about; all says that there is no telling,
// since some are missing, or that the journal is an older one than was seen.
func (j *journal) since(n uint64) (whom map[string]struct{}, all bool) {
	switch missed := j.N - n; {
	case j.N < n || missed > uint64(len(j.Entries)):
		return nil, true
	default:
		whom = make(map[string]struct{}, missed)
		for _, e := range j.Entries[uint64(len(j.Entries))-missed:] {
			whom[e.Who] = struct{}{}
		}
		return whom, false
	}
}

// hash stands for these texts, of which none can be read as a part of another.
func hash(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		h.Write([]byte(strconv.Itoa(len(text)) + ":" + text))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// shortened keeps what an operator wrote within bounds.
func shortened(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return strings.ToValidUTF8(text, "")
}
