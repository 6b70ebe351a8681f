//go:build race

package main

// crowd is how many instances TestAdverse runs: the race detector makes each cost ten times as much.
const crowd = 200
