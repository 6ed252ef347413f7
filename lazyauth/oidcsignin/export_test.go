package oidcsignin

import "time"

// MostSpent is mostSpent.
const MostSpent = mostSpent

// Spend is spend of a table that f is given.
func Spend(f func(spend func(name string, ends time.Time) bool, size func() int)) {
	var s spent
	f(s.spend, func() int { return len(s.names) })
}
