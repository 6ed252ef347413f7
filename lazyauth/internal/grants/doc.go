// Package grants keeps one grant for each principal, all its life: it is obtained
// from a person (a [Flight]), or without asking anybody (a renewal: from the store,
// by a refresh, from where the operator put a token); it is stored, reduced,
// rejected, and forgotten. The package knows OAuth, and neither hosts nor calls: who
// wants a grant is an [Asker], and how a person is shown a prompt is the asker's
// business.
//
// # Who may call whom
//
// An [Owner] has at most one flight and one renewal under way. Each is a goroutine of
// its own that belongs to nobody: those who want the grant wait for it, and their
// going away changes nothing. [Keeper.Close] ends all of them and waits.
//
// # Locks
//
// Owner.mu guards what an owner has under way. Under it an asker is asked whether the
// person may be asked ([Asker.MayAsk]), which may lock what the asker has; nothing else
// is called, and no network or store is waited for. The grant itself is an atomic
// pointer to a value that never changes, so that an authorized call takes no lock.
package grants
