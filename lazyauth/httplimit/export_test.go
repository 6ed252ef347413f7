package httplimit

// Remembered returns of how many addresses tries are remembered.
func (l *Limiter) Remembered() int {
	l.tries.mu.Lock()
	defer l.tries.mu.Unlock()
	return len(l.tries.young) + len(l.tries.old)
}

// Weigh weighs a text that comes in pieces of so many bytes.
func Weigh(text string, size int) (weight int) {
	var s scale
	for len(text) > 0 {
		n := min(size, len(text))
		weight += s.weigh([]byte(text[:n]))
		text = text[n:]
	}
	return weight
}
