package grants

// UnderWay counts a keeper's flights under way: those by a code that the person enters anywhere, and all others,
// whose browser comes back to this process, or of which it is not known yet.
func UnderWay(k *Keeper) (byCode, others int) {
	for o := range k.Owners {
		o.mu.Lock()
		f := o.flight
		o.mu.Unlock()
		if f == nil {
			continue
		}
		if s := f.shown.Load(); s != nil && s.prompt.UserCode != "" {
			byCode++
		} else {
			others++
		}
	}
	return byCode, others
}
