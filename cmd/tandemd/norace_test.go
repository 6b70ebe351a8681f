//go:build !race

package main

// crowd is how many instances TestAdverse runs.
const crowd = 1000
