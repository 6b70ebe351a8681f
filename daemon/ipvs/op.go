package ipvs

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"
)

// OpKind is what an Op does. Zero is unset.
type OpKind uint8

// The operations on a table. Adding what is there, and setting or deleting what is not, fails.
const (
	AddService OpKind = iota + 1
	SetService
	DeleteService
	AddDestination
	SetDestination
	DeleteDestination
)

// String returns the words for k in a log.
func (k OpKind) String() string {
	switch k {
	case AddService:
		return "add service"
	case SetService:
		return "set service"
	case DeleteService:
		return "delete service"
	case AddDestination:
		return "add destination"
	case SetDestination:
		return "set destination"
	case DeleteDestination:
		return "delete destination"
	}
	return fmt.Sprintf("OpKind(%d)", uint8(k))
}

// Op is one change of one entry of a table. Ops are comparable.
type Op struct {
	Kind OpKind
	// Key is the service that the Op is about.
	Key Key
	// Settings are used by AddService and SetService, else zero.
	Settings Settings
	// Destination is used by the last three kinds, else zero; DeleteDestination has only its Addr.
	Destination Destination
}

// Validate returns an error if no kernel could carry out op, or if List could not return what it
// leaves behind.
func (op Op) Validate() error {
	if err := op.Key.Validate(); err != nil {
		return err
	}
	switch op.Kind {
	case AddService, SetService:
		return op.Settings.Validate(op.Key)
	case AddDestination, SetDestination:
		return op.Destination.validateIn(op.Key)
	case DeleteDestination:
		return validateAddr("destination", op.Destination.Addr)
	case DeleteService:
		return nil
	}
	return fmt.Errorf("unknown operation %d", op.Kind)
}

// String returns the command that op equals, such as
// "ipvsadm -a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1".
func (op Op) String() string { return "ipvsadm " + op.arguments() }

// LogValue is String, made only where it is logged.
func (op Op) LogValue() slog.Value { return slog.StringValue(op.String()) }

func (op Op) arguments() string {
	key := keyArguments(op.Key)
	switch op.Kind {
	case AddService:
		return "-A " + key + settingArguments(op)
	case SetService:
		return "-E " + key + settingArguments(op)
	case DeleteService:
		return "-D " + key
	case AddDestination:
		return "-a " + key + destinationArguments(op.Destination)
	case SetDestination:
		return "-e " + key + destinationArguments(op.Destination)
	case DeleteDestination:
		return "-d " + key + " -r " + op.Destination.Addr.String()
	}
	return op.Kind.String()
}

func keyArguments(k Key) string {
	switch {
	case k.Mark != 0 && k.Family == IPv6:
		return fmt.Sprintf("-f %d -6", k.Mark)
	case k.Mark != 0:
		return fmt.Sprintf("-f %d", k.Mark)
	case k.Protocol == UDP:
		return "-u " + k.Addr.String()
	case k.Protocol == SCTP:
		return "--sctp-service " + k.Addr.String()
	}
	return "-t " + k.Addr.String()
}

func settingArguments(op Op) string {
	s := op.Settings.canonical(op.Key)
	var b strings.Builder
	fmt.Fprintf(&b, " -s %s", s.Scheduler)
	if s.Persistence > 0 {
		fmt.Fprintf(&b, " -p %d", s.Persistence/time.Second)
		if s.PersistenceBits > 0 {
			fmt.Fprintf(&b, " -M %s", netmask(op.Key, s.PersistenceBits))
		}
		if s.Engine != "" {
			fmt.Fprintf(&b, " --pe %s", s.Engine)
		}
	}
	if s.Flags&OnePacket != 0 {
		b.WriteString(" -o")
	}
	if names := schedulerFlags(s); len(names) > 0 {
		fmt.Fprintf(&b, " -b %s", strings.Join(names, ","))
	}
	return b.String()
}

// netmask returns the persistence prefix as ipvsadm takes it: dotted for IPv4, a length for IPv6.
func netmask(k Key, bits int) string {
	if k.IsIPv6() {
		return fmt.Sprint(bits)
	}
	return net.IP(net.CIDRMask(bits, 32)).String()
}

func schedulerFlags(s Settings) []string {
	var names []string
	for _, f := range []Flags{Sched1, Sched2, Sched3} {
		if s.Flags&f != 0 {
			names = append(names, f.name(s.Scheduler))
		}
	}
	return names
}

func destinationArguments(d Destination) string {
	forward := map[Forward]string{NAT: "-m", DR: "-g", TUN: "-i"}[d.Forward]
	s := fmt.Sprintf(" -r %s %s -w %d", d.Addr, forward, d.Weight)
	if d.Forward == TUN {
		s += tunnelArguments(d.Tunnel)
	}
	if d.Upper > 0 {
		s += fmt.Sprintf(" -x %d -y %d", d.Upper, d.Lower)
	}
	return s
}

// tunnelArguments returns nothing for IPIP, the default.
func tunnelArguments(t Tunnel) string {
	if t.Type == IPIP {
		return ""
	}
	s := " --tun-type " + t.Type.String()
	if t.Type == GUE {
		s += fmt.Sprintf(" --tun-port %d", t.Port)
	}
	return s + " --tun-" + t.Checksum.String()
}
