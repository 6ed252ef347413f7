//go:build !linux

package process_test

func playMore(string) {}
