// Package records is the use of a store for records that change while something is asked of
// another machine. It knows nothing of what is in them. Every wait is bounded: a store may wait
// for a person who is not there, or for a process that hangs with its lock.
package records
