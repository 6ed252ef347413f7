package scopes

import (
	"errors"
	"fmt"
)

// Needs are what the calls of one tool can need, where that depends on their arguments: to
// write a file may take one scope, and to write one that others run another.
type Needs[In any] struct {
	// Possible are the needs that there can be. Their [Ceiling] is the limit: a need of Of's
	// that could ask for anything beyond it is refused. They are what hosts are told of the
	// tool, the usual one first.
	Possible []Requirement
	// Of says what a call with these arguments needs; the empty set stands for any grant. An
	// error refuses the call: its text tells the model that chose the arguments what is wrong
	// with them. A nil requirement refuses it as well, as a mistake of the program. Of is a
	// function of the arguments and of nothing else: it must not change them, may be called
	// concurrently and more than once for a call, and should return at once.
	Of func(arguments In) (Requirement, error)
}

// ErrNeeds is what [Needs.For] fails with where Of returned what it must not: a mistake of the
// program, and not of whoever chose the arguments.
var ErrNeeds = errors.New("scopes: what Needs.Of returned is no need of the tool")

// Check returns what is wrong with n: that it has no function, or names no possible need, or a
// nil one.
func (n Needs[In]) Check() error {
	if n.Of == nil {
		return errors.New("scopes: Needs without the function Of")
	}
	if len(n.Possible) == 0 {
		return errors.New("scopes: Needs without Possible ones: name what calls can need")
	}
	for _, need := range n.Possible {
		if need == nil {
			return errors.New("scopes: Needs with a nil requirement among the Possible ones; an empty Set stands for any grant")
		}
	}
	return nil
}

// For returns what a call with these arguments needs, which is within the limit. Its error is
// Of's, or wraps [ErrNeeds] and names no scope, since those may come from the arguments. A panic
// of Of goes on.
func (n Needs[In]) For(arguments In) (Requirement, error) {
	need, err := n.Of(arguments)
	switch {
	case err != nil:
		return nil, err
	case need == nil:
		return nil, fmt.Errorf("%w: it is nil, without an error", ErrNeeds)
	case !Ceiling(n.Possible...).Covers(Ceiling(need)):
		return nil, fmt.Errorf("%w: it has scopes that none of the Possible ones has", ErrNeeds)
	}
	return need, nil
}
