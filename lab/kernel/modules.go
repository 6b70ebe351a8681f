package kernel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// guestModules are the modules that a lab uses, loaded at boot so that nothing depends on a modprobe
// on the host. A name that the kernel's package does not have is built in or not to be had: probing
// finds out which.
var guestModules = []string{
	"veth", "bridge", "macvlan", "ipvlan", "dummy", "tun", "ifb", "ipip", "ip_gre", "fou",
	"sch_netem", "sch_tbf", "sch_ingress", "act_mirred", "act_skbedit", "cls_u32",
	"nf_tables", "nft_compat", "nf_conntrack",
	"hmac", "sctp", // a listener of SCTP signs its cookies
	"ip_vs",
	"ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_lblc", "ip_vs_lblcr", "ip_vs_dh",
	"ip_vs_pe_sip", "ip_vs_sh", "ip_vs_mh", "ip_vs_sed", "ip_vs_nq", "ip_vs_fo", "ip_vs_ovf", "ip_vs_twos",
}

// moduleOrder reads a modules.dep and returns the files to load for the wanted modules, each after
// what it needs, each once. Wanted modules that modules.dep does not list are left out.
//
// Source: modules.dep(5): "module: what it needs, nearest first".
func moduleOrder(dep io.Reader, want []string) ([]string, error) {
	needs := map[string][]string{}
	file := map[string]string{}
	lines := bufio.NewScanner(dep)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, rest, ok := strings.Cut(lines.Text(), ":")
		if !ok {
			continue
		}
		needs[name] = strings.Fields(rest)
		file[moduleName(name)] = name
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read modules.dep: %w", err)
	}
	var order []string
	seen := map[string]bool{}
	for _, name := range want {
		f, ok := file[name]
		if !ok {
			continue
		}
		chain := append([]string{f}, needs[f]...)
		for i := len(chain) - 1; i >= 0; i-- {
			if !seen[chain[i]] {
				seen[chain[i]] = true
				order = append(order, chain[i])
			}
		}
	}
	return order, nil
}

// moduleName turns the path of a module's file into the module's name.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return strings.ReplaceAll(name, "-", "_")
}

// loadModules loads the wanted modules from dir, as laid out by depmod. One that is loaded already
// is fine. Equivalent to: `modprobe -a …` with dir as /lib/modules/RELEASE.
func loadModules(dir string, want []string) error {
	dep, err := os.Open(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return fmt.Errorf("load modules: %w", err)
	}
	defer dep.Close()
	order, err := moduleOrder(dep, want)
	if err != nil {
		return err
	}
	for _, name := range order {
		if err := loadModule(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("load module: %w", err)
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load module %s: %w", filepath.Base(path), err)
	}
	return nil
}
