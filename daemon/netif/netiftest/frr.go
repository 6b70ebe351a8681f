package netiftest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// frrPrograms is where FRR's daemons are, which are on nobody's PATH.
	frrPrograms = "/usr/lib/frr"
	// frrLimit is far more than zebra may take to begin.
	frrLimit = 20 * time.Second
)

// FRR is one of FRR's daemons on a Node, with the zebra that does for it what concerns the kernel.
type FRR struct {
	t             *testing.T
	node          *Node
	dir           string
	program       string
	zebra, daemon *exec.Cmd // nil: it does not run
}

// NewFRR returns the program, which has not been started, with its zebra, which has. Conf are the
// lines of its configuration. Without FRR it skips the test; what still runs at its end is ended,
// and the logs of one that has failed are shown.
func NewFRR(t *testing.T, n *Node, program string, conf ...string) *FRR {
	t.Helper()
	for _, p := range []string{"zebra", program} {
		if _, err := os.Stat(filepath.Join(frrPrograms, p)); err != nil {
			t.Skipf("FRR is not installed: %v", err)
		}
	}
	f := &FRR{t: t, node: n, dir: t.TempDir(), program: program}
	f.must(os.WriteFile(f.Path(program+".conf"), []byte(strings.Join(conf, "\n")+"\n"), 0o644))
	f.must(os.WriteFile(f.Path("zebra.conf"), nil, 0o644))
	owner, err := user.Lookup("frr") // they give up root for it
	f.must(err)
	uid, err := strconv.Atoi(owner.Uid)
	f.must(err)
	f.must(os.Chown(f.dir, uid, -1))
	f.must(os.Chmod(filepath.Dir(f.dir), 0o711))
	t.Cleanup(func() {
		f.End()
		if t.Failed() {
			t.Logf("%s's log:\n%s\nzebra's log:\n%s", program, f.Log(program), f.Log("zebra"))
		}
	})
	f.zebra = f.start("zebra")
	f.await("zserv.api")
	return f
}

// Path returns the name of a file of f's.
func (f *FRR) Path(name string) string { return filepath.Join(f.dir, name) }

// await waits for a file.
func (f *FRR) await(name string) {
	f.t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for begin := time.Now(); ; <-look.C {
		if _, err := os.Stat(f.Path(name)); err == nil {
			return
		}
		if time.Since(begin) > frrLimit {
			f.t.Fatalf("%s: not in %s", name, frrLimit)
		}
	}
}

// start starts one of FRR's daemons, in the foreground and without a port for its terminal.
func (f *FRR) start(program string, more ...string) *exec.Cmd {
	f.t.Helper()
	log, err := os.OpenFile(f.Path(program+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	f.must(err)
	args := append(more, "--config_file", f.Path(program+".conf"),
		"--pid_file", f.Path(program+".pid"), "--socket", f.Path("zserv.api"),
		"--vty_socket", f.dir, "--vty_port", "0", "--log", "stdout", "--log-level", "debugging")
	cmd := exec.Command(filepath.Join(frrPrograms, program), args...)
	cmd.Stdout, cmd.Stderr = log, log
	f.node.Do(func() { err = cmd.Start() })
	f.must(errors.Join(err, log.Close()))
	return cmd
}

// Run starts the program, with more arguments.
func (f *FRR) Run(more ...string) {
	f.t.Helper()
	f.daemon = f.start(f.program, more...)
}

// Log returns what the program, or zebra, has said so far, nothing if it has not run.
func (f *FRR) Log(program string) []byte {
	f.t.Helper()
	text, err := os.ReadFile(f.Path(program + ".log"))
	if !errors.Is(err, fs.ErrNotExist) {
		f.must(err)
	}
	return text
}

// Stop ends the program by a signal. Without one that runs it does nothing.
func (f *FRR) Stop(s unix.Signal) {
	Finish(f.daemon, s)
	f.daemon = nil
}

// End ends everything, and says what is left.
func (f *FRR) End() {
	f.Stop(unix.SIGTERM)
	Finish(f.zebra, unix.SIGTERM)
	f.zebra = nil
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	f.must(err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && bytes.Contains(text, []byte(f.dir)) {
			line := fmt.Sprintf("%s: %s", file, bytes.ReplaceAll(text, []byte{0}, []byte{' '}))
			f.t.Errorf("left behind: %s", line)
		}
	}
}

// must is for what the machine has to be able to do.
func (f *FRR) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// Finish ends a process that the test has started and waits for it. One that is nil has not been.
func Finish(cmd *exec.Cmd, s unix.Signal) {
	if cmd != nil {
		_ = cmd.Process.Signal(s) // it may have ended
		_ = cmd.Wait()            // its status says only how it was ended
	}
}
