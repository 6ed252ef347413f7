package world

import (
	"bytes"
	"slices"
	"sync"
)

// A Journal collects what the server wrote, a message an element. It is the
// writer of an mcp.LoggingTransport.
type Journal struct {
	mu    sync.Mutex
	lines [][]byte
}

func (j *Journal) Write(line []byte) (int, error) {
	if m, ok := bytes.CutPrefix(line, []byte("write: ")); ok {
		j.mu.Lock()
		j.lines = append(j.lines, bytes.TrimSpace(slices.Clone(m)))
		j.mu.Unlock()
	}
	return len(line), nil
}

// Messages returns all of them, in their order.
func (j *Journal) Messages() [][]byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// Text returns them in one piece.
func (j *Journal) Text() string { return string(bytes.Join(j.Messages(), []byte("\n"))) }

// Count returns how many messages contain all of the parts.
func (j *Journal) Count(parts ...string) int {
	n := 0
	for _, m := range j.Messages() {
		if !slices.ContainsFunc(parts, func(p string) bool { return !bytes.Contains(m, []byte(p)) }) {
			n++
		}
	}
	return n
}
