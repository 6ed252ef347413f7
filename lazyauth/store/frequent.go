package store

// SuitsFrequentWrites reports whether s is for records that are written every few seconds for some
// minutes, as those of sign-ins under way are. A store of your own is, unless it has a method of this
// name, without parameters, that says otherwise; one that wraps another, and says which by a method
// Unwrap() Store, is what that is.
//
// Folders are. Keychains are not: each write starts programs or goes over a bus, and some ask the
// person. Neither is [Memory], which no other process sees. What [FirstAvailable] returns is what the
// store is that it uses; before that is known, it is not.
func SuitsFrequentWrites(s Store) bool {
	if own, ok := s.(interface{ SuitsFrequentWrites() bool }); ok {
		return own.SuitsFrequentWrites()
	}
	if w, ok := s.(interface{ Unwrap() Store }); ok {
		return SuitsFrequentWrites(w.Unwrap())
	}
	return true
}

// SuitsFrequentWrites is what the function of this name goes by.
func (k *kept) SuitsFrequentWrites() bool {
	_, folder := k.place.(*files)
	return folder
}

// SuitsFrequentWrites is what the function of this name goes by.
func (f *firstAvailable) SuitsFrequentWrites() bool {
	s := f.chosen.Load()
	return s != nil && SuitsFrequentWrites(*s)
}
