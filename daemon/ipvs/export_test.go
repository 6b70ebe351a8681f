package ipvs

// DropHandle does what a request without an answer leaves behind.
func (k *Kernel) DropHandle() {
	if h := <-k.free; h != nil {
		h.Close()
	}
	k.free <- nil
}
