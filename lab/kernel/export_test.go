package kernel

// RaceEnabled lets tests skip what a binary with the race detector cannot do.
const RaceEnabled = raceEnabled

// What a guest of a test suite on virtual time gets.
var (
	SuiteEnv  = suiteEnv
	SuiteArgs = suiteArgs
)
