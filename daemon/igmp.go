package daemon

import (
	"encoding/json"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/netif"
)

// noteReports is the key in the guard's ledger of what netif.LocalReports was before.
const noteReports = "igmp reports"

// The values of netif.LocalReports.
const (
	reportsOff   = "0"
	reportsUsual = "1" // the kernel's own
)

// withoutReports says whether a configuration wants no IGMP reports of groups of the link.
func withoutReports(cfg *config.Config) bool {
	return cfg.Global.Adverts.DisableLocalIGMP && len(cfg.Instances) > 0
}

// setReports turns reports off as cfg wants, or has them be as they were. It comes before instances
// join their groups.
func (d *director) setReports(cfg *config.Config) {
	if !withoutReports(cfg) {
		d.restoreReports()
		return
	}
	if d.host == nil || d.reports != "" {
		return
	}
	was, err := d.host.System(netif.LocalReports)
	if err == nil && was != reportsOff {
		err = d.host.SetSystem(netif.LocalReports, reportsOff)
	}
	if err != nil {
		d.log.Warn("IGMP reports stay on", "err", err)
		return
	}
	if raw, noted := d.options.Ledger.Inherited().Notes[noteReports]; noted && was == reportsOff {
		if err := json.Unmarshal(raw, &was); err != nil {
			d.log.Warn("what IGMP reports were is lost", "err", err)
		}
	}
	d.reports = was
	d.noteReports(was)
}

// restoreReports undoes setReports. What somebody else has changed since is left as it is.
func (d *director) restoreReports() {
	if d.reports == "" {
		return
	}
	if err := restoreReports(d.host, d.reports); err != nil {
		d.log.Warn("IGMP reports stay off", "err", err)
	}
	d.reports = ""
	d.noteReports(nil)
}

// noteReports writes down what reports were; nil is that they are so again.
func (d *director) noteReports(was any) {
	if err := d.options.Ledger.Note(noteReports, was); err != nil {
		d.log.Warn("IGMP reports were not noted", "err", err)
	}
}

func restoreReports(host *netif.Host, to string) error {
	now, err := host.System(netif.LocalReports)
	if err != nil || now != reportsOff || now == to {
		return err
	}
	return host.SetSystem(netif.LocalReports, to)
}
