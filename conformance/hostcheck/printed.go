package hostcheck

import (
	"fmt"
	"strings"
	"sync"
)

// ends keeps the beginning and the end of what is written to it. Its methods may be
// called concurrently.
type ends struct {
	mu    sync.Mutex
	first []byte
	last  []byte
	left  int // how many bytes between them are left out
}

// endSize is how much is kept at either end, in bytes.
const endSize = 32 << 10

// Write implements [io.Writer]. It never fails, so that no host waits for it.
func (e *ends) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(p), endSize-len(e.first))
	e.first = append(e.first, p[:n]...)
	rest := p[n:]
	if cut := len(rest) - endSize; cut > 0 {
		e.left += cut
		rest = rest[cut:]
	}
	if cut := len(e.last) + len(rest) - endSize; cut > 0 {
		e.left += cut
		e.last = append(e.last[:0], e.last[cut:]...)
	}
	e.last = append(e.last, rest...)
	return len(p), nil
}

// String is what was kept, as valid UTF-8. It says if something is left out.
func (e *ends) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := string(e.first)
	if e.left > 0 {
		s += fmt.Sprintf("\n… %d bytes are left out here …\n", e.left)
	}
	return strings.ToValidUTF8(s+string(e.last), "�")
}
