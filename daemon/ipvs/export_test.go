package ipvs

// DropSocket does what an exchange without an answer leaves behind.
func (k *Kernel) DropSocket() error {
	w := <-k.free
	k.free <- nil
	if w == nil {
		return nil
	}
	return w.close()
}
