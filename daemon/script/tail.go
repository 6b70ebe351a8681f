package script

import "sync"

// tailSize is how much output is kept.
const tailSize = 4 << 10

// tail keeps the end of what is written to it. Its zero value is empty.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

// Write takes all of b; it never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(b)
	if len(b) > tailSize {
		b = b[len(b)-tailSize:]
	}
	if drop := len(t.kept) + len(b) - tailSize; drop > 0 {
		t.kept = t.kept[:copy(t.kept, t.kept[drop:])]
	}
	t.kept = append(t.kept, b...)
	return n, nil
}

// String returns what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
