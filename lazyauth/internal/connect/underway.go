package connect

import "time"

// lastPageWait is how long a browser may take to load the last page, to which it is on its way.
const lastPageWait = 5 * time.Second

// UnderWay counts the sign-ins of which somebody may still want one of these pages: those that are not
// finished, and those whose last page a browser is about to load.
func UnderWay(p *Page) int {
	n := 0
	p.mu.Lock()
	all := make([]*Authorization, 0, len(p.local))
	for _, a := range p.local {
		all = append(all, a)
	}
	p.mu.Unlock()
	for _, a := range all {
		if isUnderWay(a) {
			n++
		}
	}
	return n
}

func isUnderWay(a *Authorization) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.finished:
		return len(a.brought) > 0 && !a.seen && time.Since(a.ended) < lastPageWait
	default:
		return true
	}
}

// saw notes that a browser was answered with the last page.
func saw(a *Authorization) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = true
}
