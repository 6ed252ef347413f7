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
// # Several machines
//
// A [Fleet] is a store that any number of machines share, by way of a database: a [Shared] store,
// of which the modules lazyauth/store/postgres and lazyauth/store/redis have one each. It seals all
// contents itself, so that a database never has a token, nor the name of a person.
//
//	f, err := store.NewFleet(database, namesKey, [][]byte{sealingKey}, nil)
//	if err == nil {
//		err = f.CheckSettings(ctx, map[string]string{"client id": id, "scopes": scopes})
//	}
//	go f.Run(ctx) // hints of what other machines write
//
// Its Update holds no lock while change is called. It begins an attempt, which no other machine then
// does before its lease ends; calls change; and writes if nothing was written meanwhile. A machine
// may die in between, or stand still: [Terms] are what change has to know of that, and to say. An error
// that wraps [ErrNotBegun] means that the credential in the record must not be used, whatever the caller
// knows of it by other ways; an [ErrEnded] that the one that was issued has to be revoked.
//
// [Fleet.Mark] is for what must be begun once at the most, [Fleet.Ready] for readiness checks,
// [Fleet.Rotate] for new sealing keys, [Fleet.Counts] and [FleetTrace] for metrics. Why all this keeps what it
// promises, and what it assumes, is in docs/design.md, "Many machines".
//
// Package storetest has the contract of a database as a test, and takes guards of the protocol out
// for experiments. [SharedMemory] is a database for tests.
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
