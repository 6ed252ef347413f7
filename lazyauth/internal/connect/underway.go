package connect

import "time"

// lastPageWait is how long a browser may take to load the last page, to which it is on its way.
const lastPageWait = 5 * time.Second

// LastPages counts the sign-ins that are finished, and whose last page a browser is about to load.
func LastPages(p *Page) int {
	n := 0
	p.mu.Lock()
	all := make([]*Authorization, 0, len(p.local))
	for _, a := range p.local {
		all = append(all, a)
	}
	p.mu.Unlock()
	for _, a := range all {
		if isAboutToBeSeen(a) {
			n++
		}
	}
	return n
}

func isAboutToBeSeen(a *Authorization) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.finished:
		return len(a.brought) > 0 && !a.seen && time.Since(a.ended) < lastPageWait
	default:
		return false
	}
}

// saw notes that a browser was answered with the last page.
func saw(a *Authorization) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = true
}
