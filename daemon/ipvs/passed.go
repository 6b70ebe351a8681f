package ipvs

// Passed returns a channel that is closed when the table has been looked at, and all that is wanted
// by then has been done, or has failed.
func (r *Reconciler) Passed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.passed
}

// unpass notes that something is wanted that has not been seen to.
func (r *Reconciler) unpass() {
	select {
	case <-r.passed:
		r.passed = make(chan struct{})
	default:
	}
}

// passOver notes that all has been seen to, unless more is wanted meanwhile.
func (r *Reconciler) passOver() {
	select {
	case <-r.passed:
	default:
		if !r.anew && len(r.changed) == 0 {
			close(r.passed)
		}
	}
}
