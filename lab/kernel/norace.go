//go:build !race

package kernel

// raceEnabled says that this binary carries the race detector; see race.go.
const raceEnabled = false
