// Package asking brings the prompt of a flight to a person, through the hosts whose
// calls come for them: which host shows it, in which channel, for how long a call
// waits, what a refusal means, and what hosts hear when it is over. It knows hosts
// and flights, and neither tools nor handlers: what waits is a [Host].
//
// A [Person] is an owner of package grants who can be asked. For each flight a person
// has a board, with a [Delivery] for each client: what became of the prompt there. Each
// call that waits is a waiter, on a goroutine of its caller's.
//
// # Locks
//
// Person.mu guards the board and its deliveries, and the declines. It is locked under
// Owner.mu of package grants (by MayAsk), never the other way round, and what it is
// held over calls nothing but [Carrier.Attended] and [Carrier.ChannelFailed]. Which call
// shows the prompt is decided by tokens in channels, so that waiting for a slot can end in any
// other way, too.
package asking
