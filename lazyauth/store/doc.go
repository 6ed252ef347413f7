// Package store keeps grants beyond the life of a process, for servers that opt
// in to it: in the operating system's keychain, or in files encrypted with a
// key that the operator gives.
//
// A [Store] is what lazyauth's Options.Store takes, one of this package or of your
// own. The package knows nothing of grants: it keeps records, which are opaque bytes with tokens in them, under
// keys, which are opaque text. What is kept where, and what that protects from,
// is written in docs/persistence.md.
//
// # Several processes
//
// Any number of processes may share a store. Updates of one key wait for each
// other, in all of them: one refreshes, the next finds the new record. A record
// is replaced as a whole, and once [Store.Update] has returned it survives the
// end of the process, whatever kind of end that is.
//
// # When something is wrong
//
// A file that cannot be what was written is set aside under a new name, and an
// error says where ([ErrDamaged]); it is not overwritten. A file that another
// key opens is left alone ([ErrWrongKey]), and one that other people could have
// read or written is refused ([ErrUnsafe]). A keychain that is not there is an
// error ([ErrNoKeychain]), unless [FirstAvailable] was given something to
// use instead, which it then says. A store that cannot be written says so before
// it calls change ([ErrUnwritable]), and one that gives no answer is not waited
// for longer than the context lasts ([ErrNoAnswer]).
package store
