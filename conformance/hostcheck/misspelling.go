package hostcheck

import (
	"regexp"
	"strings"
)

// A run's folder begins with the scenario's name and a revision.
var ofRun = regexp.MustCompile(`^(.+)-\d{4}-\d{2}-\d{2}`)

// meant is the one of names that a name which is none of them probably stands for: it
// differs in a third of its letters at most, or is that of a run. Empty if there is none.
func meant(name string, names []string) string {
	run := ofRun.FindStringSubmatch(name)
	best, least := "", 0
	for _, n := range names {
		if run != nil && run[1] == n {
			return n
		}
		d := distance(strings.ToLower(name), n)
		if d <= max(len(n)/3, 1) && (best == "" || d < least) {
			best, least = n, d
		}
	}
	return best
}

// distance is how many bytes have to be put in, left out or replaced to make one string
// of the other (Levenshtein). The longer one is cut where it must be too far.
func distance(a, b string) int {
	if len(a) > 2*len(b)+1 {
		a = a[:2*len(b)+1]
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
