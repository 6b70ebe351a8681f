package status

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Data writes what keepalived writes to keepalived.data on SIGUSR1, so far as it is the state of
// VRRP: the same keys in the same indentation, which is what programs read it by.
func Data(w io.Writer, s *Snapshot) error {
	var b bytes.Buffer
	section := func(name string) { fmt.Fprintf(&b, "------< %s >------\n", name) }
	if len(s.Instances) > 0 {
		section("VRRP Topology")
		for i := range s.Instances {
			dataInstance(&b, &s.Instances[i])
		}
	}
	if groups := groupsOf(s.Instances); len(groups) > 0 {
		section("VRRP Sync groups")
		for _, g := range groups {
			fmt.Fprintf(&b, " VRRP Sync Group = %s, %s\n", word(g.name), g.state)
			for _, m := range g.members {
				fmt.Fprintf(&b, "   monitor = %s\n", word(m))
			}
		}
	}
	scripts := false
	for i := range s.Trackers {
		t := &s.Trackers[i]
		if t.Kind != "script" {
			continue
		}
		if !scripts {
			section("VRRP Scripts")
			scripts = true
		}
		status := map[Health]string{Unknown: "INIT", Up: "GOOD", Down: "BAD"}[t.Health]
		fmt.Fprintf(&b, " VRRP Script = %s\n   Status = %s\n   State = idle\n",
			word(t.Name), status)
	}
	return dump(w, b.Bytes())
}

func dump(w io.Writer, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("dump state: %w", err)
	}
	return nil
}

// word returns s as one that ends no line and begins no value.
func word(s string) string { return strings.ReplaceAll(printable(s), "=", " ") }

// dataInstance writes one instance.
func dataInstance(b *bytes.Buffer, i *Instance) {
	key := func(name, format string, args ...any) {
		fmt.Fprintf(b, "   %s = %s\n", name, word(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(b, " VRRP Instance = %s\n", word(i.Name))
	fmt.Fprintf(b, " VRRP Version = %d\n", i.Version)
	key("State", "%s", max(i.State, Init))
	if i.State == Backup && i.Leader.IsValid() {
		key("Master router", "%s", i.Leader)
		key("Master priority", "%d", i.LeaderPriority)
	}
	key("Wantstate", "%s", i.want())
	if len(i.Faults) > 0 {
		key("Fault reasons", "%s", strings.Join(i.Faults, "; "))
	}
	since := "never"
	if !i.Since.IsZero() {
		since = i.Since.Format(time.ANSIC)
	}
	key("Last transition", "%.6f (%s)", unix(i.Since), since)
	key("Interface", "%s", i.Interface)
	if i.Source.IsValid() {
		key("Using src_ip", "%s", i.Source)
	}
	key("Virtual Router ID", "%d", i.VRID)
	key("Priority", "%d", i.BasePriority)
	key("Effective priority", "%d", i.Priority)
	if i.Version == 2 {
		key("Advert interval", "%g sec", i.Interval.Seconds())
	} else {
		key("Advert interval", "%d milli-sec", i.Interval.Milliseconds())
	}
	key("Preempt", "%s", map[bool]string{true: "enabled", false: "disabled"}[i.Preempt])
	dataVIPs(b, "Virtual IP", i, false)
	dataVIPs(b, "Virtual IP Excluded", i, true)
}

// dataVIPs writes the VIPs that are or are not in adverts.
func dataVIPs(b *bytes.Buffer, name string, i *Instance, excluded bool) {
	vips := i.addresses(excluded)
	if len(vips) == 0 {
		return
	}
	fmt.Fprintf(b, "   %s (%d):\n", name, len(vips))
	for _, v := range vips {
		fmt.Fprintf(b, "     %s\n", word(v))
	}
}

// addresses returns the VIPs that are or are not in adverts, as keepalived writes them.
func (i *Instance) addresses(excluded bool) []string {
	var all []string
	for _, v := range i.VIPs {
		if v.Excluded != excluded {
			continue
		}
		set := ""
		if v.Held {
			set = " set"
		}
		all = append(all, fmt.Sprintf("%s dev %s scope global%s", v.Prefix, v.Device, set))
	}
	return all
}

// want is the state that the instance is heading for: what it is, and backup after a fault.
func (i *Instance) want() State {
	if i.State == Fault {
		return Backup
	}
	return max(i.State, Init)
}

// unix is t in seconds, 0 if it is not known.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMicro()) / 1e6
}

// group is a sync group as its members show it.
type group struct {
	name    string
	state   State
	members []string
}

// groupsOf returns the sync groups: master if all members are, in fault if one is, else backup.
func groupsOf(all []Instance) []group {
	var groups []group
	place := make(map[string]int)
	for i := range all {
		n := &all[i]
		if n.Group == "" {
			continue
		}
		at, known := place[n.Group]
		if !known {
			at = len(groups)
			place[n.Group] = at
			groups = append(groups, group{name: n.Group, state: max(n.State, Init)})
		}
		g := &groups[at]
		g.members = append(g.members, n.Name)
		switch {
		case n.State == Fault || g.state == Fault:
			g.state = Fault
		case g.state != max(n.State, Init):
			g.state = Backup
		}
	}
	return groups
}

// counters are those of keepalived's vrrp_stats. Reasons that it does not know are in none.
type counters struct {
	Received         uint64 `json:"advert_rcvd"`
	Sent             uint64 `json:"advert_sent"`
	BecameMaster     uint64 `json:"become_master"`
	ReleasedMaster   uint64 `json:"release_master"`
	Length           uint64 `json:"packet_len_err"`
	Interval         uint64 `json:"advert_interval_err"`
	TTL              uint64 `json:"ip_ttl_err"`
	Type             uint64 `json:"invalid_type_rcvd"`
	Addresses        uint64 `json:"addr_list_err"`
	InvalidAuth      uint64 `json:"invalid_authtype"`
	AuthType         uint64 `json:"authtype_mismatch"`
	AuthFailure      uint64 `json:"auth_failure"`
	ZeroPriorityRcvd uint64 `json:"pri_zero_rcvd"`
	ZeroPrioritySent uint64 `json:"pri_zero_sent"`
}

// The reasons that have a counter in keepalived: the words of vrrp.DropReason.
const (
	reasonShort     = "too short"
	reasonLong      = "too long"
	reasonInterval  = "wrong interval"
	reasonTTL       = "bad ttl"
	reasonType      = "bad type"
	reasonAddresses = "different addresses"
	reasonAuthType  = "wrong authentication type"
	reasonPassword  = "wrong password"
)

// counters returns the counters of keepalived.
func (i *Instance) counters() counters {
	t := &i.Traffic
	n := func(reason string) uint64 { return t.Dropped[reason] + t.Mismatched[reason] }
	return counters{
		Received: t.Received, Sent: t.Sent,
		BecameMaster: i.BecameMaster, ReleasedMaster: i.ReleasedMaster,
		Length: n(reasonShort) + n(reasonLong), Interval: n(reasonInterval), TTL: n(reasonTTL),
		Type: n(reasonType), Addresses: n(reasonAddresses),
		AuthType: n(reasonAuthType), AuthFailure: n(reasonPassword),
		ZeroPriorityRcvd: t.ZeroReceived, ZeroPrioritySent: t.ZeroSent,
	}
}

// Stats writes what keepalived writes to keepalived.stats on SIGUSR2.
func Stats(w io.Writer, s *Snapshot) error {
	var b bytes.Buffer
	for i := range s.Instances {
		c := s.Instances[i].counters()
		name := strings.ReplaceAll(printable(s.Instances[i].Name), ":", " ")
		fmt.Fprintf(&b, "VRRP Instance: %s\n", name)
		for _, l := range []struct {
			indent int
			name   string
			value  *uint64
		}{
			{2, "Advertisements", nil},
			{4, "Received", &c.Received}, {4, "Sent", &c.Sent},
			{2, "Became master", &c.BecameMaster}, {2, "Released master", &c.ReleasedMaster},
			{2, "Packet Errors", nil},
			{4, "Length", &c.Length}, {4, "TTL", &c.TTL}, {4, "Invalid Type", &c.Type},
			{4, "Advertisement Interval", &c.Interval}, {4, "Address List", &c.Addresses},
			{2, "Authentication Errors", nil},
			{4, "Invalid Type", &c.InvalidAuth}, {4, "Type Mismatch", &c.AuthType},
			{4, "Failure", &c.AuthFailure},
			{2, "Priority Zero", nil},
			{4, "Received", &c.ZeroPriorityRcvd}, {4, "Sent", &c.ZeroPrioritySent},
		} {
			fmt.Fprintf(&b, "%*s%s:", l.indent, "", l.name)
			if l.value != nil {
				fmt.Fprintf(&b, " %d", *l.value)
			}
			b.WriteByte('\n')
		}
	}
	return dump(w, b.Bytes())
}

// dumped is one instance of keepalived's JSON.
type dumped struct {
	Data  dumpedData `json:"data"`
	Stats counters   `json:"stats"`
}

// dumpedData are the fields that keepalived's JSON and a Snapshot have in common.
type dumpedData struct {
	Name           string   `json:"iname"`
	Interface      string   `json:"ifp_ifname"`
	MasterPriority int      `json:"master_priority"`
	LastTransition float64  `json:"last_transition"`
	VRID           int      `json:"vrid"`
	BasePriority   int      `json:"base_priority"`
	Priority       int      `json:"effective_priority"`
	VIPsSet        bool     `json:"vipset"`
	Interval       float64  `json:"adver_int"`
	NoPreempt      bool     `json:"nopreempt"`
	State          int      `json:"state"`
	Want           int      `json:"wantstate"`
	Version        int      `json:"version"`
	VIPs           []string `json:"vips,omitempty"`
	Excluded       []string `json:"evips,omitempty"`
}

// dumpedProcess is one tracked process of keepalived's JSON.
type dumpedProcess struct {
	Name      string `json:"process"`
	HasQuorum bool   `json:"have_quorum"`
}

func dumpProcesses(all []Tracker) []dumpedProcess {
	var processes []dumpedProcess
	for i := range all {
		if all[i].Kind == "process" {
			processes = append(processes, dumpedProcess{all[i].Name, all[i].Health == Up})
		}
	}
	return processes
}

// KeepalivedJSON writes what keepalived writes to keepalived.json: in version 1 an array of
// instances, in version 2 an object that has it as vrrp. Other versions are an error.
func KeepalivedJSON(w io.Writer, s *Snapshot, version int) error {
	all := []dumped{}
	for i := range s.Instances {
		n := &s.Instances[i]
		all = append(all, dumped{dumpedData{
			Name: n.Name, Interface: n.Interface, MasterPriority: n.LeaderPriority,
			LastTransition: unix(n.Since), VRID: n.VRID, BasePriority: n.BasePriority,
			Priority: n.Priority, VIPsSet: n.held() > 0, Interval: n.Interval.Seconds(),
			NoPreempt: !n.Preempt, State: n.State.Code(), Want: n.want().Code(), Version: n.Version,
			VIPs: n.addresses(false), Excluded: n.addresses(true),
		}, n.counters()})
	}
	var view any = all
	switch version {
	case 1:
	case 2:
		view = struct {
			VRRP      []dumped        `json:"vrrp"`
			Processes []dumpedProcess `json:"track_process,omitempty"`
		}{all, dumpProcesses(s.Trackers)}
	default:
		return fmt.Errorf("dump state: JSON version %d, expected 1 or 2", version)
	}
	b, err := json.Marshal(view)
	if err != nil {
		return fmt.Errorf("dump state: %w", err)
	}
	return dump(w, append(b, '\n'))
}
