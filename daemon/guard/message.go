package guard

import "encoding/json"

// message is one line on the connection of worker and guard. Exactly one field is set.
type message struct {
	// From the worker.
	Claim   *Claim `json:"claim,omitempty"`
	Release string `json:"release,omitempty"`
	Note    *note  `json:"note,omitempty"`
	Ready   bool   `json:"ready,omitempty"`
	Beat    bool   `json:"beat,omitempty"`
	// Supervise is a state for who supervises the guard, as sd_notify(3) has it.
	Supervise string `json:"supervise,omitempty"`
	// To the worker, once, at first.
	Inherit *Inheritance `json:"inherit,omitempty"`
}

// note is an entry of the ledger that only workers understand.
type note struct {
	Key string `json:"key"`
	// Value is null to remove the entry.
	Value json.RawMessage `json:"value"`
}

// Inheritance is what a worker gets from the one before it. The zero value is that of a first one.
type Inheritance struct {
	// Resume says that it goes on where the last one was.
	Resume bool `json:"resume"`
	// Claims are what is advertised for it until it claims that itself.
	Claims []Claim `json:"claims,omitempty"`
	// Notes are what the last one has noted, by key.
	Notes map[string]json.RawMessage `json:"notes,omitempty"`
}

// Claim returns the inherited claim of that name, and whether there is one.
func (i Inheritance) Claim(name string) (Claim, bool) {
	for _, c := range i.Claims {
		if c.Name == name {
			return c, true
		}
	}
	return Claim{}, false
}
