// Package kernel answers one question: is the kernel that this process is in good enough? If not, it
// boots one that is, as an ordinary process, and runs this same program, arguments, environment and
// working directory inside it. It never builds a lab and never judges.
package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tandemlb/tandem/lab"
)

// modeVariable names the environment variable that forces a kernel.
const modeVariable = "TANDEM_KERNEL"

// Mode says which kernel to run in. The zero Mode is Auto.
type Mode int

// The modes of `--kernel` and TANDEM_KERNEL.
const (
	// Auto takes the host's kernel where it has what is needed, else a guest.
	Auto Mode = iota
	// Host takes the host's kernel, and is an error where it lacks something.
	Host
	// UML takes a User Mode Linux guest.
	UML
)

// String returns the mode as it is written on the command line.
func (m Mode) String() string {
	switch m {
	case Auto:
		return "auto"
	case Host:
		return "host"
	case UML:
		return "uml"
	}
	return fmt.Sprintf("Mode(%d)", int(m))
}

// ParseMode reads a mode; the empty string is Auto.
func ParseMode(s string) (Mode, error) {
	switch s {
	case "", "auto":
		return Auto, nil
	case "host":
		return Host, nil
	case "uml":
		return UML, nil
	}
	return 0, fmt.Errorf("parse kernel %q: want auto, host or uml", s)
}

// ModeFromEnvironment returns the mode that TANDEM_KERNEL asks for; unset is Auto.
func ModeFromEnvironment() (Mode, error) {
	m, err := ParseMode(os.Getenv(modeVariable))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", modeVariable, err)
	}
	return m, nil
}

// Options say what Enter shall provide.
type Options struct {
	Mode Mode
	// Time is the clock. VirtualTime takes a guest of its own kind, see FindVirtualImage.
	Time Time
	// Seed is where the randomness of a guest on VirtualTime starts; on RealTime it means nothing.
	Seed uint64
	// Need are the capabilities that the kernel must have.
	Need []lab.Capability
	// Writable are directories that a guest may change, beside the source tree (the directory above
	// the working directory that holds go.mod, else the working directory) and the temporary
	// directory. They must exist.
	Writable []string
	// Env are variables, as KEY=VALUE, to set for the program in a guest.
	Env []string
}

// MissingError is what Enter returns when no kernel has what is needed.
type MissingError struct {
	// Kernel names the kernel that lacks something: "host" or "guest".
	Kernel string
	// Findings are the missing capabilities with reasons and remedies.
	Findings []Finding
}

// Error names each missing capability, why it matters and what to do, a line each.
func (e *MissingError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the %s kernel lacks what this needs:", e.Kernel)
	for _, f := range e.Findings {
		fmt.Fprintf(&b, "\n  %s: %s; needed for %s; %s", f.Name, f.Reason, f.Why, f.Remedy)
	}
	return b.String()
}

// Init must be the first call of every main and TestMain whose program may run in a guest. In a
// guest's first process it does that process's work and never returns; elsewhere it does nothing.
func Init() {
	if isGuestInit() {
		runGuest()
	}
}

// InGuest says whether this process runs in a guest that Enter booted.
func InGuest() bool { return os.Getenv(guestVariable) != "" }

// Enter returns nil when this process is in a kernel that has what is needed. Otherwise it boots a
// guest, runs this program in it from the start, and ends this process with that program's exit
// status: it does not return then. Inside a guest it never boots another.
//
// The end of the context ends the guest as it stands. Signals are handed on to the program in the
// guest, so the context should not be one that they end.
//
// Errors: a *MissingError when a capability is missing and no guest may or can be used; ErrNoImage
// (wrapped) when no guest kernel is installed; anything else when the guest does not come up.
func Enter(ctx context.Context, o Options) error {
	stay, err := o.stay()
	if stay || err != nil {
		return err
	}
	status, err := RunInGuest(ctx, o)
	if err != nil {
		return err
	}
	os.Exit(status)
	return nil
}

// stay says whether this process goes on in the kernel it is in. An error says that it cannot, and
// that no guest may help.
func (o Options) stay() (bool, error) {
	kernel := "host"
	switch {
	case InGuest():
		kernel = "guest"
	case o.Time == VirtualTime && o.Mode == Host:
		return false, errors.New("virtual time needs a guest kernel: it excludes the kernel \"host\"")
	case o.Mode == UML || o.Time == VirtualTime:
		return false, nil
	}
	err := missing(kernel, o.Need)
	if err != nil && (InGuest() || o.Mode == Host) {
		return false, err
	}
	return err == nil, nil
}

// missing returns a *MissingError when the current kernel lacks something of need.
func missing(kernel string, need []lab.Capability) error {
	var lack []Finding
	for _, f := range Probe(need) {
		if !f.OK {
			lack = append(lack, f)
		}
	}
	if len(lack) == 0 {
		return nil
	}
	return &MissingError{Kernel: kernel, Findings: lack}
}

// RunInGuest boots a guest, runs this program in it from the start and returns its exit status.
// Output, input, signals and the window's size are handed on as they come.
func RunInGuest(ctx context.Context, o Options) (int, error) {
	dir, err := os.Getwd()
	if err != nil {
		return 0, fmt.Errorf("boot guest: %w", err)
	}
	g := Guest{
		Time: o.Time, Seed: o.Seed, Env: append(os.Environ(), o.Env...),
		Writable: append([]string{sourceTree(dir), os.TempDir()}, o.Writable...),
	}
	return g.Run(ctx)
}

// sourceTree is the directory at or above dir that holds go.mod, else dir.
func sourceTree(dir string) string {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d
		}
		if d == filepath.Dir(d) {
			return dir
		}
	}
}

// RunTests runs a test binary's tests in a kernel that has what they need, and returns their exit
// status: here by run where this kernel has it, else by this same binary in a guest. A TestMain calls
// it after Init and lab.Main. The status is not zero where there is an error.
//
// On virtual time a suite does the same wherever it is started: from every directory, with every
// environment. The guest has PATH, HOME, TMPDIR and TZ with fixed values; of this process's environment and
// Options.Env it has the variables TANDEM_* and those of Go's runtime (GODEBUG, GOGC, GOMAXPROCS,
// GOMEMLIMIT, GOTRACEBACK), and no other. It has the test binary, the source tree and what TANDEM_*
// point to at fixed paths, and arguments that name files there follow. For the same to the last
// byte, two binaries must be the same too: built with -trimpath.
func RunTests(ctx context.Context, o Options, run func() int) (int, error) {
	stay, err := o.stay()
	if err != nil {
		return 2, err
	}
	if stay {
		return run(), nil
	}
	var status int
	if o.Time == VirtualTime {
		status, err = o.runSuite(ctx)
	} else {
		status, err = RunInGuest(ctx, o)
	}
	if err != nil {
		return 2, err
	}
	return status, nil
}
