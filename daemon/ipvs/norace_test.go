//go:build !race

package ipvs_test

// raceEnabled says that this binary carries the race detector; see race_test.go.
const raceEnabled = false
