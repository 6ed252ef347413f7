package demo

import (
	"testing"
	"time"
)

func TestElapsed_IsInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                     "less than a second",
		999 * time.Millisecond:                "less than a second",
		1259 * time.Millisecond:               "1 s",
		59*time.Second + 999999999:            "59 s",
		2*time.Minute + 5300*time.Millisecond: "2 min 5 s",
	} {
		if got := elapsed(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
