package store

import (
	"context"
	"time"
)

const (
	// HashSize is the length in bytes of a [Hash].
	HashSize = 32
	// MaxContent is the length in bytes of the longest content of a row: a record, its key and
	// its seal.
	MaxContent = MaxRecord + 2*MaxKey
)

// A Hash stands for a key, or for a person, where an operator of the store may read it: an
// HMAC-SHA-256, by a key that the store does not have, so that it tells nothing of whose it is.
// The zero Hash stands for nobody.
type Hash [HashSize]byte

// An ID names a row of a [Shared] store.
type ID struct {
	Kind string // what is kept: 1 to 16 of a to z
	Key  Hash
}

// A Row is what a [Shared] store has of one thing. The store compares and indexes the fields, and
// never looks into Content, which is sealed by whoever writes it. Times are by the store's clock.
type Row struct {
	ID
	// Person is whose it is, for [Shared.OfPerson]; zero if it is nobody's.
	Person Hash
	// Generation grows with every content that is written, also by an end: what has seen n, and
	// is shown less, sees a store that has failed over to a copy which lags. It is 0 until there is
	// a content or an end, and chosen by who writes that, since the seal covers it.
	Generation uint64
	// Fence grows with every attempt that is begun: what was begun before can tell that it is not
	// the last. It is at least the store's time in microseconds since 1970 when the row was made: an
	// attempt on a row that was there before, and is no longer, must not fit this one.
	Fence uint64
	// Owner is the incarnation of a process whose attempt is under way, and Until when its lease
	// ends. Empty: none is. An owner whose lease has ended, and which has not written, leaves its
	// attempt in doubt: it may have done what it began, or not.
	Owner string
	Until time.Time
	// Due is when an attempt may be begun that is for what is due then; zero if none may. Nobody looks for rows that are due: whoever
	// has to do with one knows it. So no index has it, which would make each write dearer.
	Due time.Time
	// Ends is when the row is no longer there, whoever holds it; zero if it stays.
	Ends time.Time
	// SealedBy names the key that Content is sealed by, and how, for rotation: printable ASCII; empty if there is no content,
	// or it is not sealed.
	SealedBy string
	// Content is nil if there never was any, or if what there was has ended: with a Generation of
	// more than 0 the row is a tombstone. If there is one it has 1 to [MaxContent] bytes.
	Content []byte
}

// An Attempt is what [Shared.Begin] begins.
type Attempt struct {
	Person Hash   // of a row that is not there yet
	Owner  string // the incarnation that begins it: 1 to 64 printable ASCII characters
	// Lease is how long nobody else may begin one; it is more than what the attempt does may take.
	Lease time.Duration
	// Due is how long after now the row is due next, should this attempt never be heard of again;
	// zero leaves what there is.
	Due time.Duration
	// IfDue refuses to begin before the row is due, and so if there is no row.
	IfDue bool
	// Ends is how long a row that is not there yet is kept, unless it is written; zero for ever.
	Ends time.Duration
}

// A Change is what [Shared.Write] writes.
type Change struct {
	Person Hash
	// Generation is that of the content: more than the one that is there.
	Generation uint64
	Content    []byte // nil leaves a tombstone
	SealedBy   string
	Due        time.Duration // from now; zero: never; negative, to Write: as it was
	Ends       time.Duration // from now; zero: never; negative, to Write: as it was
	// Release gives up the lease of the attempt with this fence.
	Release bool
	// Keep leaves person, content, generation, key's name and end as they are: it writes Due, and
	// gives up the lease, alone.
	Keep bool
}

// Shared keeps rows that many machines work on, where none may wait for another while it holds a
// lock: whoever works on a row begins an attempt, does what takes time, and then writes, which
// is refused if anybody has begun another meanwhile. It is what a database has to offer; package
// storetest is this contract as a test, and [Fleet] makes a [Store] of it.
//
// Every method is one atomic step, by the store's own clock, is safe for concurrent use, and
// returns soon after ctx has ended; what it was to change may be changed by then, or not. Errors
// name the server, never with its password, say what to do, and contain nothing of a content. They
// wrap [ErrUnavailable], [ErrNoAnswer] or [ErrUnwritable] where one of those is meant.
type Shared interface {
	// Now returns the time by the store's clock.
	Now(ctx context.Context) (time.Time, error)

	// Read returns a row, or nil if there is none or it has ended.
	Read(ctx context.Context, id ID) (*Row, error)

	// Begin begins an attempt, unless the lease of another owner's has not ended, or IfDue is set
	// and the row is not due. It returns the row as it was before, which is nil if there was
	// none, and the fence of what it has begun; zero if it has begun nothing.
	// A row that was not there is made, without content.
	Begin(ctx context.Context, id ID, a Attempt) (before *Row, fence uint64, err error)

	// Write changes the row whose fence is this one, and whose generation is this one, and reports
	// whether there was one. Unless it is to release the lease, that stays whose it is. It does not
	// matter whether the lease has ended meanwhile, as long as nobody has begun another attempt. Whoever has read the fence
	// may write by it, without an attempt of its own: that of another is then told by the
	// generation that it was written over.
	Write(ctx context.Context, id ID, fence, generation uint64, c Change) (written bool, err error)

	// Insert makes a row with this content and no owner, and reports whether it did: false if there
	// is one that has not ended.
	Insert(ctx context.Context, id ID, c Change) (inserted bool, err error)

	// OfPerson lists what there is of one person, tombstones too, in the order of the ids (by kind,
	// then by key), after one, limit at most.
	OfPerson(ctx context.Context, person Hash, after ID, limit int) ([]ID, error)

	// NotSealedBy lists rows whose content is sealed, and by another key (all if key is empty), in
	// the order of the ids, after one, limit at most.
	NotSealedBy(ctx context.Context, key string, after ID, limit int) ([]ID, error)

	// Delete removes a row, whoever works on it: nothing remembers that it was there. It is for
	// the erasure of a person, and for tests.
	Delete(ctx context.Context, id ID) error

	// Watch calls changed with what others have written, until ctx ends, or returns why it cannot. These are
	// hints: any may be lost, and a zero ID says that some were: after a connection was lost and is there again.
	Watch(ctx context.Context, changed func(ID)) error

	// String says for people where the rows are: "in PostgreSQL at db.example.com". It waits for nothing.
	String() string
}
