package oidcsignin_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
)

// What is spent is remembered until it would have ended, and there is an end to how much that is.
func TestSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		oidcsignin.Spend(func(spend func(string, time.Time) bool, size func() int) {
			ends := time.Now().Add(10 * time.Minute)
			if !spend("a", ends) || spend("a", ends) {
				t.Error("spent twice, or not once")
			}
			for i := range 2 * oidcsignin.MostSpent {
				spend(strconv.Itoa(i), ends)
			}
			if size() != oidcsignin.MostSpent {
				t.Errorf("%d are remembered", size())
			}
			time.Sleep(11 * time.Minute)
			if spend("b", time.Now().Add(time.Minute)); size() != 1 {
				t.Errorf("%d are remembered after their end", size())
			}
		})
	})
}
