//go:build !race

package daemon

// slowdown is how much longer than otherwise the race detector may make code take.
const slowdown = 1
