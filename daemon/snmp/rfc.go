package snmp

import (
	"encoding/hex"
	"strings"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/snmp/agentx"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// operState is the state in both MIBs: initialize(1), backup(2), master(3).
func (i *instance) operState() agentx.Value {
	switch i.state() {
	case status.Backup:
		return agentx.Int(2)
	case status.Master:
		return agentx.Int(3)
	case status.Init, status.Fault:
	}
	return agentx.Int(1)
}

// row is the index of an instance in both MIBs, but for the family; nil if the machine has not its
// interface.
func (i *instance) row(more ...uint32) agentx.OID {
	n := i.view.Links[i.config.Interface].Index
	if n == 0 {
		return nil
	}
	return index(n, int(i.config.VRID)).With(more...)
}

// mac is the one that the VIPs have: the virtual router's on a macvlan, else the interface's.
func (i *instance) mac() agentx.Value {
	if i.config.VMAC == nil {
		return agentx.Text(i.view.Links[i.config.Interface].MAC)
	}
	family := byte(1)
	if i.config.IPv6() {
		family = 2
	}
	mac := string([]byte{0, 0, 0x5e, 0, family, i.config.VRID})
	if own, err := hex.DecodeString(strings.ReplaceAll(i.config.VMAC.MAC, ":", "")); err == nil {
		switch len(own) {
		case 6:
			mac = string(own)
		case 5:
			mac = string(append(own, i.config.VRID))
		}
	}
	return agentx.Text(mac)
}

// running is since when the instance takes part; zero if it does not.
func (i *instance) running() time.Time {
	if i.status == nil {
		return time.Time{}
	}
	return i.status.Running
}

// count returns a counter of the instance; 0 before it runs.
func (i *instance) count(of func(*status.Instance) uint64) uint64 {
	if i.status == nil {
		return 0
	}
	return of(i.status)
}

// dropped are the counters of reasons together: of what was refused, and of what was believed all
// the same.
func dropped(reasons ...vrrp.DropReason) func(*status.Instance) uint64 {
	return func(s *status.Instance) uint64 {
		n := uint64(0)
		for _, r := range reasons {
			n += s.Traffic.Dropped[r.String()] + s.Traffic.Mismatched[r.String()]
		}
		return n
	}
}

// total adds up what all instances have dropped because of reason.
func total(instances []instance, reason vrrp.DropReason) uint64 {
	n := uint64(0)
	for i := range instances {
		n += instances[i].count(dropped(reason))
	}
	return n
}

// associated is one VIP of an instance that is in its adverts.
type associated struct {
	of  *instance
	vip *config.VIP
}

func associations(instances []instance) []associated {
	var all []associated
	for i := range instances {
		for j := range instances[i].config.VIPs {
			all = append(all, associated{&instances[i], &instances[i].config.VIPs[j]})
		}
	}
	return all
}

// octets are the bytes of a VIP's address as parts of an index.
func (a *associated) octets() agentx.OID {
	var o agentx.OID
	for _, b := range a.vip.Prefix.Addr().AsSlice() {
		o = append(o, uint32(b))
	}
	return o
}

// active is the RowStatus of every row.
const active = 1
