package kernel

// RaceEnabled lets tests skip what a binary with the race detector cannot do.
const RaceEnabled = raceEnabled
