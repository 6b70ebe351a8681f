package netif

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Setting is one of the kernel's settings of an interface.
type Setting struct {
	// Family is ipv4 or ipv6, Name as in /proc/sys/net/FAMILY/conf/IF; delay_first_probe_time is that in
	// /proc/sys/net/FAMILY/neigh/IF.
	Family, Name string
	// Value is what it is to be.
	Value string
}

// firstProbe is a setting of the neighbors of an interface.
const firstProbe = "delay_first_probe_time"

// String returns, for example, "ipv4 promote_secondaries = 1".
func (s Setting) String() string { return fmt.Sprintf("%s %s = %s", s.Family, s.Name, s.Value) }

// held is a setting that somebody holds.
type held struct {
	was   string // before
	users int
}

// Hold sets s until Release is called as often as Hold; then it is again what it was before the
// first. All that hold a setting should want the same value.
//
// Equivalent to: `sysctl net.FAMILY.conf.IF.NAME=VALUE`.
func (i *Interface) Hold(s Setting) error {
	h := i.host
	h.setting.Lock()
	defer h.setting.Unlock()
	path := i.path(s)
	had := h.settings[path]
	if had != nil && had.users > 0 {
		had.users++
		return nil
	}
	was, err := h.readSetting(path)
	if err == nil && was != s.Value {
		err = h.writeSetting(path, s.Value)
	}
	if err != nil {
		return fmt.Errorf("set %s of %s: %w", s, i.name, err)
	}
	if had == nil {
		had = &held{was: was}
		h.settings[path] = had
	}
	had.users++
	return nil
}

// Release undoes one Hold. What has no interface any more, or what somebody else has changed since,
// is left as it is.
func (i *Interface) Release(s Setting) error {
	h := i.host
	h.setting.Lock()
	defer h.setting.Unlock()
	path := i.path(s)
	had := h.settings[path]
	if had == nil {
		return nil
	}
	if had.users--; had.users > 0 {
		return nil
	}
	delete(h.settings, path)
	return i.Restore(s, had.was)
}

// Inherit tells what s was before a process held it that is dead: the Hold that follows goes on from
// there. Where somebody holds s already it does nothing.
func (i *Interface) Inherit(s Setting, was string) {
	h := i.host
	h.setting.Lock()
	defer h.setting.Unlock()
	if path := i.path(s); h.settings[path] == nil {
		h.settings[path] = &held{was: was}
	}
}

// Before returns what the setting is, or was before somebody held it.
func (i *Interface) Before(s Setting) (string, error) {
	h := i.host
	h.setting.Lock()
	defer h.setting.Unlock()
	path := i.path(s)
	if had := h.settings[path]; had != nil {
		return had.was, nil
	}
	was, err := h.readSetting(path)
	if err != nil {
		return "", fmt.Errorf("read %s of %s: %w", s.Name, i.name, err)
	}
	return was, nil
}

// Restore sets what has the Value of s to was; anything else is left as it is, and what is not there
// is no error. It undoes what a process has held that is dead.
func (i *Interface) Restore(s Setting, was string) error {
	path := i.path(s)
	now, err := i.host.readSetting(path)
	if err == nil && now == s.Value && now != was {
		err = i.host.writeSetting(path, was)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restore %s of %s: %w", s.Name, i.name, err)
	}
	return nil
}

// path is where the setting is. The kernel shows each thread those of its own network namespace. An
// interface's name may hold a dot, but no slash.
func (i *Interface) path(s Setting) string {
	table := "conf"
	if s.Name == firstProbe {
		table = "neigh"
	}
	return fmt.Sprintf("/proc/sys/net/%s/%s/%s/%s", s.Family, table, i.name, s.Name)
}

func (h *Host) readSetting(path string) (was string, err error) {
	err = h.inside(func() error {
		b, err := os.ReadFile(path)
		was = strings.TrimSpace(string(b))
		return err
	})
	return was, err
}

func (h *Host) writeSetting(path, value string) error {
	return h.inside(func() error { return os.WriteFile(path, []byte(value), 0) })
}
