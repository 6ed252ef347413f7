package store

import "fmt"

// Losses is what of that which a [Shared] store has acknowledged may be lost, by the settings of its
// server. It costs a prompt, a second use of a refresh token, or a handler that runs twice; a wrong token
// it never is. The table in docs/scale.md says which engine loses what, and when.
type Losses int

// What may be lost, the least first.
const (
	// LosesUnknown: the server does not say.
	LosesUnknown Losses = iota
	// LosesNothing: what was acknowledged is there after any end of the server.
	LosesNothing
	// LosesAtFailover: when a standby takes over, what it had not yet received.
	LosesAtFailover
	// LosesLastSecond: when the server's machine crashes, or a standby takes over, the last second or so.
	LosesLastSecond
	// LosesAny: when the server ends, minutes, or all.
	LosesAny
)

// String says it for people.
func (l Losses) String() string {
	switch l {
	case LosesUnknown:
		return "the server does not say what it may lose"
	case LosesNothing:
		return "nothing is lost"
	case LosesAtFailover:
		return "what a standby has not received is lost when it takes over"
	case LosesLastSecond:
		return "the last second may be lost"
	case LosesAny:
		return "everything may be lost"
	}
	return fmt.Sprintf("Losses(%d)", int(l))
}
