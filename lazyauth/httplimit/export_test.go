package httplimit

// Remembered returns of how many addresses tries are remembered.
func (l *Limiter) Remembered() int {
	l.tries.mu.Lock()
	defer l.tries.mu.Unlock()
	return len(l.tries.young) + len(l.tries.old)
}
