package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/tandemlb/tandem/daemon/config"
)

// Verdict is what Examine thinks of a configuration. Zero is unset.
type Verdict uint8

// Usable means that the daemon would run it as it is written; Restricted that it would run it, but
// not all of it as it is written; Unsafe that root would run a script which others can change;
// Unusable that it would not run it. Each includes those before it.
const (
	Usable Verdict = iota + 1
	Restricted
	Unsafe
	Unusable
)

// String returns the verdict in lower case.
func (v Verdict) String() string {
	switch v {
	case Usable:
		return "usable"
	case Restricted:
		return "restricted"
	case Unsafe:
		return "unsafe"
	case Unusable:
		return "unusable"
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// Examine reads the configuration as Run does, writes what there is to say about it to out, and
// changes nothing. The error is that of writing.
func Examine(file string, o config.Options, out io.Writer) (Verdict, error) {
	cfg, ds := examine(file, o)
	var weak config.Diagnostics
	if cfg != nil {
		weak = unsafeScripts(cfg)
	}
	_, err := io.WriteString(out, ds.String()+weak.String())
	switch {
	case ds.Err() != nil:
		return Unusable, err
	case len(weak) > 0:
		return Unsafe, err
	case len(ds) > 0:
		return Restricted, err
	}
	return Usable, err
}

// examine reads the file. The Config is nil if it cannot be read at all.
func examine(file string, o config.Options) (*config.Config, config.Diagnostics) {
	cfg, ds := config.Load(file, o)
	if cfg == nil {
		return nil, ds
	}
	ds = append(ds, checkRouting(cfg)...)
	ds = append(ds, checkCheckers(cfg)...)
	ds = append(ds, checkLVS(cfg)...)
	ds = append(ds, checkManagers(cfg)...)
	ds.Sort()
	return cfg, ds
}

// setSNMP puts what the options say of SNMP in the place of what the file says.
func (o *Options) setSNMP(c *config.SNMP) {
	if o.SNMP {
		c.VRRP, c.Checker, c.RFC = true, true, true
	}
	if o.SNMPSocket != "" {
		c.Socket = o.SNMPSocket
	}
}

// load reads the file of o and takes out what o runs without. It returns what there was to say
// about the file, too.
func load(o Options) (*config.Config, string, error) {
	if _, err := os.Stat(o.File); errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("read configuration: %w: %w", ErrNoConfig, err)
	}
	cfg, ds := examine(o.File, config.Options{ID: o.ID, CheckIncludes: o.CheckIncludes})
	said := ds.String()
	if o.Diagnostics != nil {
		if _, err := io.WriteString(o.Diagnostics, said); err != nil {
			return nil, said, fmt.Errorf("write diagnostics: %w", err)
		}
	}
	if ds.Err() != nil {
		return nil, said, fmt.Errorf("read configuration %s: %w", o.File, ErrConfig)
	}
	o.setSNMP(&cfg.Global.SNMP)
	if o.WithoutVRRP {
		settleSync(cfg)
		cfg.Instances, cfg.SyncGroups = nil, nil
		cfg.Addresses, cfg.Routes, cfg.Rules = nil, nil, nil
	}
	if o.WithoutServices {
		cfg.VirtualServers, cfg.Global.LVS = nil, config.LVS{}
		for i := range cfg.Instances {
			cfg.Instances[i].SyncInterface = ""
		}
	}
	markGroups(cfg)
	return cfg, said, nil
}
