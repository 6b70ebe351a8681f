//go:build race

package ipvs_test

// raceEnabled says that this binary carries the race detector.
const raceEnabled = true
