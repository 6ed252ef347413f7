// Package broken proves that each check of the conformance suite can fail: its
// tests run the suite against hosts that are wrong in exactly one way each, and
// know which checks each of them trips.
package broken
