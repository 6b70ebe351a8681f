package config

import "slices"

// Support says what this version does with a keyword. Zero is unset; the larger, the less it does.
type Support uint8

const (
	// Works is that it does what it says.
	Works Support = iota + 1
	// Needless is that it is read and checked and changes nothing, and that nothing is missed.
	Needless
	// Pending is that it is read and checked and changes nothing yet: a file with it is restricted.
	Pending
	// Refused is that a file with it is not run, because it would not be what the file says.
	Refused
)

// String returns the words of the documentation.
func (s Support) String() string {
	switch s {
	case Works:
		return "works"
	case Needless:
		return "no effect needed"
	case Pending:
		return "no effect yet"
	case Refused:
		return "refused"
	}
	return "unset"
}

// Keyword describes one keyword of the language in one kind of block.
type Keyword struct {
	Name string
	// Scope is the block it stands in: "the file" for those outside of all blocks.
	Scope string
	// Usage says what follows it, Default what holds without it (empty: nothing), Doc what it
	// means.
	Usage, Default, Doc string
	// Block is set if it opens a block.
	Block bool
	// Support says what this version does with it, Why says why nothing is missed, or what to use
	// instead.
	Support Support
	Why     string
}

// Effective says whether this version does what the keyword says.
func (k *Keyword) Effective() bool { return k.Support == Works }

// Keywords lists the whole language, block by block.
func Keywords() []Keyword { return slices.Clone(theLanguage().keywords()) }
