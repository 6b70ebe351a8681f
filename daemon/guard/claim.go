package guard

import (
	"encoding/json"
	"time"
)

// Claim is what one VRRP instance of the worker claims on the network as its master.
type Claim struct {
	// Name is the instance's.
	Name string `json:"name"`
	// Interval is between two adverts; Down is the shortest silence after which a peer takes over;
	// Patience is how long a successor may take to be heard.
	Interval time.Duration `json:"interval"`
	Down     time.Duration `json:"down"`
	Patience time.Duration `json:"patience"`
	// Held is all that it takes to speak for it and to withdraw it, in terms that only Network
	// knows.
	Held json.RawMessage `json:"held,omitempty"`
}

// linger is how long a claim is kept after its successor was heard, which advertises before it has
// added its addresses.
const linger = 100 * time.Millisecond

// The bounds of how long a worker may be silent.
const (
	// minSilence is half of what the peers of the fastest router wait, three adverts of 10 ms. It is
	// less than a busy machine's scheduler may take: who is only late is spared.
	minSilence = 15 * time.Millisecond
	// maxSilence is for who claims nothing, or has long intervals.
	maxSilence = 2 * time.Second
	// beats is how many of them come in that time, fewBeats in one that is shorter than shortSilence:
	// they would cost more than the adverts.
	beats, fewBeats = 5, 2
	shortSilence    = 100 * time.Millisecond
)

// SilenceFor returns how long a worker may be silent before it counts as frozen, if the fastest of
// its peers takes over after down: half of that, within bounds, so that there is time to stand in
// for it. Zero is one that has no peers.
func SilenceFor(down time.Duration) time.Duration {
	if down <= 0 {
		return maxSilence
	}
	return min(max(down/2, minSilence), maxSilence)
}

// BeatEvery returns how often a worker has to beat so as not to be silent for that long.
func BeatEvery(silence time.Duration) time.Duration {
	if silence < shortSilence {
		return silence / fewBeats
	}
	return silence / beats
}
