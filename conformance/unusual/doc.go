// Package unusual proves that no check of the conformance suite blames a host for
// what the specification lets it do: its tests run the suite against hosts that are
// right, each of them in one way that few are.
package unusual
