//go:build race

package lazyauth_test

const raceDetector = true
