// Package pending keeps device authorizations that wait for a person in a store, so that
// processes which share it ask once among them: one that is started finds what the last one
// began, shows the same prompt, and polls on. It knows nothing of owners, grants and prompts.
//
// # A record
//
// There is one for each key, and it is in one of these states:
//
//   - waiting: it has a device code, and the time of the next poll;
//   - come: a poll has brought the token, which is on its way into the grant's record;
//   - over: the server has said no, or the code was used up. This is kept for a minute, for
//     those who still wait;
//   - none: there is no flight, but perhaps somebody has declined.
//
// Where the grant is stored, the record is deleted. Each flight has an id, so that who waits for
// one sees that another has taken its place.
//
// # Whose turn it is
//
// Each poll is one update of the record, in which the request is made: who else is about to poll
// waits for the record meanwhile, and then finds when the next poll is due. The process that
// polled last (By) polls again, within sendWithin of the time that is due. It is replaced by
// whoever looks once a whole interval has passed after that in which it did not: then it has
// ended, perhaps in the middle of a poll, whose answer nobody knows. The record is then in doubt,
// until the next answer: a server that does not know the code any more has given its token away,
// and that is [device.ErrInterrupted]. A process that ends in an orderly way leaves its turn
// (By is empty), and who comes polls when it is due. So does one whose poll was not answered: it may be cut
// off from the authorization server, and another one not. To replace a process is an update of its own
// before the poll, so that one which ends right then does not have the next one poll too early.
//
// The token comes with the update that has polled for it, so that it is there after whatever
// happens then. Whoever had it, or comes when that one has ended (bringWithin), brings it into the
// grant's record; it is used by nobody else. A machine that takes it over has it once that is written, and
// not before. What the grant's record says was brought is left alone, and so is, for bringWithin, a token of
// which that cannot be told.
//
// # How many
//
// What begins has a place of so many that its person has in all processes (see [Share]), and the record says which: it is
// the flight's as the code is, and not its process's. Whoever ends the flight gives it back; one that nobody ends has it until a while after its
// code. What a process begins beside the record, for itself alone, has one that ends with it. A flight in which nobody here is
// interested any more, and which another process can go on with, keeps its place.
//
// # Clocks
//
// Times are those of the machine that the processes share, or of several whose clocks agree within sendWithin.
// One that is set back makes no wait longer than a code's life, and one that is set forward, or ahead of the
// others', can have a poll come early.
//
// # A store that fails
//
// In front of a store that machines share nobody polls while that cannot be read or written. In front of
// another one the process whose turn it is, or that left it unanswered, polls on by itself, as it would without a store, and looks again at
// each poll. Others wait for the store, and then for as long as that process may take to be seen there again;
// unless that can only be read: whoever polled last is then not heard of any more.
package pending
