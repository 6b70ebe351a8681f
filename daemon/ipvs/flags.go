package ipvs

import "fmt"

// Flags are a service's flags, with the kernel's values (IP_VS_SVC_F_ in linux/ip_vs.h).
// Persistence and the kernel's own bookkeeping are not among them.
type Flags uint32

// The flags that can be set. What SchedN means is up to the scheduler.
const (
	// OnePacket schedules each datagram anew, by ipvsadm for UDP only.
	OnePacket Flags = 0x04
	Sched1    Flags = 0x08
	Sched2    Flags = 0x10
	Sched3    Flags = 0x20

	// Fallback has sh and mh take another server where the one of the hash has weight 0 or is
	// overloaded, and HashPort has them hash the client's port too.
	Fallback = Sched1
	HashPort = Sched2

	allFlags = OnePacket | Sched1 | Sched2 | Sched3
)

// ParseFlag returns the flag that ipvsadm's --sched-flags calls name: flag-1 to flag-3, and
// sh-fallback, sh-port, mh-fallback and mh-port, which are those of their scheduler only.
func ParseFlag(scheduler Scheduler, name string) (Flags, error) {
	for _, f := range []Flags{Sched1, Sched2, Sched3} {
		if name == f.raw() || name == f.name(scheduler) {
			return f, nil
		}
	}
	return 0, fmt.Errorf("scheduler %s has no flag %s", scheduler, name)
}

// raw returns the name of a scheduler's flag that fits every scheduler.
func (f Flags) raw() string {
	switch f {
	case Sched1:
		return "flag-1"
	case Sched2:
		return "flag-2"
	}
	return "flag-3"
}

// name returns what ipvsadm calls a scheduler's flag.
func (f Flags) name(s Scheduler) string {
	if s != SourceHash && s != MaglevHash {
		return f.raw()
	}
	switch f {
	case Fallback:
		return string(s) + "-fallback"
	case HashPort:
		return string(s) + "-port"
	}
	return f.raw()
}
