package idle

// Len returns how many keys the map has, those among them whose values are gone.
func (m *Map[K, V]) Len() (n int) {
	m.slots.Range(func(any, any) bool { n++; return true })
	return n
}
