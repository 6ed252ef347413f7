package bars

import (
	"context"
	"errors"
	"fmt"
)

// A Pass lets something begin that may end with a grant, for one account of a person.
type Pass struct {
	book    *Book
	person  Person
	account string
	n       uint64 // of the last entry in the journal before it began
}

// Admit returns a pass, or why there is none: a [*Barred], or an error that is [ErrUnknown].
func (b *Book) Admit(ctx context.Context, p Person, account string) (*Pass, error) {
	pass := &Pass{book: b, person: p, account: account}
	if bar := b.here(p); bar != nil {
		return nil, &Barred{*bar}
	}
	if b.store != nil { // before the bar is looked for: what comes after it counts
		j, err := b.journal(ctx)
		if err != nil {
			return nil, err
		}
		pass.n = j.N
	}
	return pass, pass.barred(ctx)
}

func (p *Pass) barred(ctx context.Context) error {
	bar, err := p.book.Of(ctx, p.person)
	if err == nil && bar != nil {
		err = &Barred{*bar}
	}
	return err
}

// Still returns why what was begun with p must not end with a grant: a [*Barred], or an error that
// is [ErrEnded] or [ErrUnknown].
func (p *Pass) Still(ctx context.Context) error {
	if err := p.barred(ctx); err != nil || p.book.store == nil {
		return err
	}
	j, err := p.book.journal(ctx)
	if err != nil {
		return err
	}
	whom, all := j.since(p.n)
	_, person := whom[p.book.hash(p.person)]
	_, account := whom[p.book.accountHash(p.person, p.account)]
	if all || person || account {
		return ErrEnded
	}
	return nil
}

func (b *Book) journal(ctx context.Context) (*journal, error) {
	text, err := b.load(ctx, b.journalKey())
	if err == nil {
		var j *journal
		if j, err = readJournal(text); err == nil {
			return j, nil
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
}

// readJournal takes a journal that cannot be read for an empty one, which has everybody look again:
// it holds no bar.
func readJournal(text []byte) (*journal, error) {
	j, err := decodeJournal(text)
	if errors.Is(err, errUnreadable) {
		return &journal{}, nil
	}
	return j, err
}

// publish has all who share the store look again at what they have of these.
func (b *Book) publish(ctx context.Context, whom ...string) error {
	return b.update(ctx, b.journalKey(), func(old []byte) ([]byte, error) {
		j, err := readJournal(old)
		if err != nil {
			return nil, err
		}
		j.add(whom...)
		return j.encode(), nil
	})
}

// Ended tells all who share the store that p's grants were ended: for one account, or, with all,
// for every one.
func (b *Book) Ended(ctx context.Context, p Person, account string, all bool) error {
	switch {
	case b.store == nil:
		return nil
	case all:
		return b.publish(ctx, b.hash(p))
	}
	return b.publish(ctx, b.accountHash(p, account))
}

// News returns which persons' grants have to be looked at again since News was last called,
// nil if none; the first time, and where there is no telling, everybody's.
func (b *Book) News(ctx context.Context) (concerns func(p Person, account string) bool, err error) {
	if b.store == nil {
		return nil, nil //nolint:nilnil // nobody else has the book
	}
	j, err := b.journal(ctx)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	whom, all := j.since(b.read)
	all = all || !b.began
	b.read, b.began = j.N, true
	b.mu.Unlock()
	switch {
	case all:
		return func(Person, string) bool { return true }, nil
	case len(whom) == 0:
		return nil, nil //nolint:nilnil // nobody's
	}
	return func(p Person, account string) bool {
		_, person := whom[b.hash(p)]
		_, one := whom[b.accountHash(p, account)]
		return person || one
	}, nil
}
