package track

import "fmt"

const (
	// owner is the priority that nothing changes.
	owner = 255
	// faultSum is the sum from which on down a file is a fault, and -faultSum bounds what one adds.
	faultSum = -254
)

// Weight is what a tracker does to a priority. Zero is no weight: it puts into fault.
type Weight struct {
	// Value is added while what is tracked is up (positive) or down (negative). What is in a file
	// is multiplied by it.
	Value int
	// Reverse turns the sign of what is added; without a weight, it is the tracker's being well
	// that puts into fault.
	Reverse bool
}

// Influence is a tracker as one instance uses it.
type Influence struct {
	Key
	Weight Weight
	// State and Value are the tracker's.
	State State
	Value int
	// Reason is why it is Down, for the text of a fault; empty if that is not known.
	Reason string
}

// Effective returns the priority of an instance with that base, 1 to 254, and why it must not take
// part in the election, which are no reasons if it may. An owner (255) keeps its priority: only
// trackers without a weight concern it.
//
// A tracker without a weight is a fault while it is down or, for a file, while its number is not 0;
// also until its first result. A tracker with a weight adds nothing before it. A file is a fault
// too while its number times the weight is -254 or less; at most 253 are added.
func Effective(base uint8, influences []Influence) (priority uint8, faults []string) {
	sum := int64(base)
	for i := range influences {
		in := &influences[i]
		if in.Weight.Value == 0 {
			if fault := in.fault(); fault != "" {
				faults = append(faults, fault)
			}
			continue
		}
		if base == owner {
			continue
		}
		add := in.add()
		if in.Kind == FileKind && add <= faultSum {
			faults = append(faults, fmt.Sprintf("%s: %d times %d", in.Key, in.Value,
				in.Weight.Value))
			continue
		}
		sum += add
	}
	if base == owner {
		return owner, faults
	}
	return uint8(min(max(sum, 1), owner-1)), faults
}

// fault says why a tracker without a weight is a fault; empty if it is none.
func (in *Influence) fault() string {
	if in.State == Unknown {
		return in.Key.String() + ": no result yet"
	}
	if in.Kind == FileKind {
		if (in.Value != 0) == in.Weight.Reverse {
			return ""
		}
		return fmt.Sprintf("%s: %d", in.Key, in.Value)
	}
	if (in.State == Up) != in.Weight.Reverse {
		return ""
	}
	if in.Reason == "" {
		return fmt.Sprintf("%s: %s", in.Key, in.State)
	}
	return fmt.Sprintf("%s: %s", in.Key, in.Reason)
}

// add returns what a tracker with a weight adds, -254 to 253.
func (in *Influence) add() int64 {
	weight, value := int64(in.Weight.Value), int64(0)
	switch {
	case in.State == Unknown:
	case in.Kind == FileKind:
		value = int64(in.Value)
	case (in.State == Up) == (weight > 0):
		value = 1
	}
	if in.Weight.Reverse {
		weight = -weight
	}
	// Beyond this neither factor makes a difference that is kept.
	const enough = 1 << 20
	product := min(max(weight, -enough), enough) * min(max(value, -enough), enough)
	return min(max(product, faultSum), -faultSum-1)
}
