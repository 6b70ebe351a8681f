//go:build race

package kernel

// raceEnabled says that this binary carries the race detector, which cannot run in a guest: its
// shadow memory does not fit into User Mode Linux's 39-bit address space.
const raceEnabled = true
