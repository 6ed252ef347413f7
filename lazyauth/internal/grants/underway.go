package grants

// Staying counts the flights under way that no other process can go on with, or of which that is not known yet.
func Staying(k *Keeper) (n int) {
	for o := range k.Owners {
		o.mu.Lock()
		f := o.flight
		o.mu.Unlock()
		if f != nil && (f.shown.Load() == nil || !f.signIn.moves()) {
			n++
		}
	}
	return n
}

// moves reports whether another process can go on with every authorization, once there is one.
func (s *signIn) moves() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.all {
		if !b.Moves() {
			return false
		}
	}
	return true
}
