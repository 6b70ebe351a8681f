package daemon

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"syscall"

	"github.com/tandemlb/tandem/daemon/config"
)

// defaultAccount runs scripts that name none, if it exists; else root does.
const defaultAccount = "keepalived_script"

// unsafeScripts tells of the scripts that root would run and others could change.
func unsafeScripts(cfg *config.Config) config.Diagnostics {
	var ds config.Diagnostics
	add := func(at config.Pos, scripts ...*config.Script) {
		for _, s := range scripts {
			if s == nil || !runByRoot(s.Account, cfg.Global.ScriptAccount) {
				continue
			}
			if part := weakPart(s.Args[0]); part != "" {
				ds = append(ds, config.Diagnostic{
					Pos: at, Severity: config.Warning,
					Text: fmt.Sprintf("script %q: expected a path that only root can change; "+
						"others can change %s", s.Args[0], part),
				})
			}
		}
	}
	notify := func(at config.Pos, n *config.Notify) {
		add(at, n.Master, n.Backup, n.Fault, n.Stop, n.Any)
	}
	for i := range cfg.SyncGroups {
		notify(cfg.SyncGroups[i].Pos, &cfg.SyncGroups[i].Notify)
	}
	for i := range cfg.Instances {
		notify(cfg.Instances[i].Pos, &cfg.Instances[i].Notify)
	}
	for i := range cfg.VirtualServers {
		vs := &cfg.VirtualServers[i]
		add(vs.Pos, vs.QuorumUp, vs.QuorumDown)
		for j := range vs.RealServers {
			rs := &vs.RealServers[j]
			add(rs.Pos, rs.NotifyUp, rs.NotifyDown)
		}
	}
	return ds
}

// runByRoot says whether root runs a script with its own account, which may name nobody.
func runByRoot(own, global config.Account) bool {
	name := own.User
	if name == "" {
		name = global.User
	}
	if name == "" {
		name = defaultAccount
	}
	u, err := user.Lookup(name)
	return err != nil || u.Uid == "0"
}

// weakPart returns the first part of the program's path, links resolved, that another than root
// owns or may write to; empty if there is none, or no such program. Entries of a directory with the
// sticky bit are safe from those who may write to it.
func weakPart(program string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		return ""
	}
	if path, err = filepath.Abs(path); err != nil {
		return ""
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return ""
	}
	weak := ""
	for part := path; ; part = filepath.Dir(part) {
		info, err := os.Stat(part)
		if err != nil {
			return ""
		}
		owner, known := info.Sys().(*syscall.Stat_t)
		sticky := info.IsDir() && info.Mode()&fs.ModeSticky != 0
		if !known || owner.Uid != 0 || info.Mode()&0o022 != 0 && !sticky {
			weak = part
		}
		if part == "/" {
			return weak
		}
	}
}
