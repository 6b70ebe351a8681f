// Package bus serves the message bus, D-Bus, as keepalived does: an object for the director and one
// for each instance, with signals when they change. It decides nothing, and it is told what there is.
package bus

import (
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"
)

// DefaultName is the name on the bus of a director that has no other.
const DefaultName = "org.keepalived.Vrrp1"

// The interfaces, and where their objects are. They are the same whatever the name on the bus.
const (
	directorInterface = "org.keepalived.Vrrp1.Vrrp"
	instanceInterface = "org.keepalived.Vrrp1.Instance"
	properties        = "org.freedesktop.DBus.Properties"
	introspectable    = "org.freedesktop.DBus.Introspectable"

	directorPath = "/org/keepalived/Vrrp1/Vrrp"
	instancePath = "/org/keepalived/Vrrp1/Instance"
)

// State is keepalived's number of an instance's state.
type State uint32

// The states.
const (
	Init    State = 0
	Backup  State = 1
	Master  State = 2
	Fault   State = 3
	Deleted State = 97
	Stopped State = 98
)

// String returns keepalived's word.
func (s State) String() string {
	switch s {
	case Init:
		return "Init"
	case Backup:
		return "Backup"
	case Master:
		return "Master"
	case Fault:
		return "Fault"
	case Deleted:
		return "Deleted"
	case Stopped:
		return "Stopped"
	}
	return "Unknown"
}

// Instance is a virtual router as the bus sees it.
type Instance struct {
	Name, Interface string
	VRID            int
	IPv6            bool
	State           State
}

// Path is the name of the instance's object, with or without its interface in it.
func (i *Instance) Path(withInterface bool) dbus.ObjectPath {
	path := instancePath
	if withInterface {
		path += "/" + element(i.Interface)
	}
	family := "IPv4"
	if i.IPv6 {
		family = "IPv6"
	}
	return dbus.ObjectPath(fmt.Sprintf("%s/%d/%s", path, i.VRID, family))
}

// element is a word as a part of a path, which may have letters, digits and underscores.
func element(word string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, word)
}

// Signal is what everybody on the bus is told.
type Signal struct {
	path dbus.ObjectPath
	name string // with its interface
	args []any
}

// started is that the director has come to the bus.
func started() Signal { return Signal{directorPath, directorInterface + ".VrrpStarted", nil} }

// Reloaded is that the director has taken over a configuration.
func Reloaded() Signal { return Signal{directorPath, directorInterface + ".VrrpReloaded", nil} }

// stopped is that it is about to leave.
func stopped() Signal { return Signal{directorPath, directorInterface + ".VrrpStopped", nil} }

// Changed is that an instance has come into its state.
func Changed(i *Instance, withInterface bool) Signal {
	return Signal{i.Path(withInterface), instanceInterface + ".VrrpStatusChange",
		[]any{uint32(i.State)}}
}
