package daemon

import (
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// groups turns instances and sync groups into what runs them: one for each sync group and for each
// instance that is in none, in the order of the file.
func groups(cfg *config.Config) []instance.Group {
	var gs []instance.Group
	for i := range cfg.SyncGroups {
		g := instance.Group{Name: cfg.SyncGroups[i].Name}
		for _, name := range cfg.SyncGroups[i].Members {
			g.Members = append(g.Members, member(cfg.Instance(name)))
		}
		gs = append(gs, g)
	}
	for i := range cfg.Instances {
		if cfg.GroupOf(cfg.Instances[i].Name) == nil {
			gs = append(gs, instance.Group{Members: []instance.Config{member(&cfg.Instances[i])}})
		}
	}
	return gs
}

func member(i *config.Instance) instance.Config {
	return instance.Config{
		Name:      i.Name,
		Interface: i.Interface,
		Router: vrrp.Config{
			Version:       vrrp.Version(i.Version),
			VRID:          i.VRID,
			Priority:      i.Priority,
			Interval:      i.AdvertInterval,
			Source:        i.Source,
			Auth:          auth(i.Auth.Type),
			Password:      vrrp.MakePassword(i.Auth.Password),
			NoPreempt:     !i.Preempt,
			PreemptDelay:  i.PreemptDelay,
			AnnounceDelay: announceDelay(i.GARP.Delay),
		},
		VIPs:           vips(i.VIPs),
		Excluded:       vips(i.ExcludedVIPs),
		AnnounceRepeat: i.GARP.Repeat,
	}
}

func auth(t config.AuthType) vrrp.AuthType {
	if t == config.AuthPassword {
		return vrrp.AuthSimple
	}
	return vrrp.AuthNone
}

// announceDelay: in a configuration 0 is never, to a Machine it is the default.
func announceDelay(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

func vips(vs []config.VIP) []instance.VIP {
	var out []instance.VIP
	for _, v := range vs {
		out = append(out, instance.VIP{Prefix: v.Prefix, Device: v.Device})
	}
	return out
}
