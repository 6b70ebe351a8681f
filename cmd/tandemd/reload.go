package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon"
)

// The places of the control socket when nothing tells another: the directory that a service manager
// has made for the daemon if there is one, else that of the machine.
const (
	runDir    = "/run"
	ownRunDir = "/run/tandemd"
)

// stateDir is the one of them that is used here.
func stateDir() string {
	if info, err := os.Stat(ownRunDir); err == nil && info.IsDir() {
		return ownRunDir
	}
	return runDir
}

// socket is the path of the control socket, for the daemon and for who asks it: what --control
// says; else beside the first file with the process ID; else one of the machine, the namespace and
// the name of the daemon.
func (c *command) socket() string {
	switch {
	case c.control != "":
		return c.control
	case len(c.pidFiles) > 0:
		return strings.TrimSuffix(c.pidFiles[0], ".pid") + ".sock"
	}
	name := "tandemd"
	for _, part := range []string{c.namespace, c.instance} {
		if part != "" {
			name += "-" + strings.ReplaceAll(part, "/", "_")
		}
	}
	return filepath.Join(stateDir(), name+".sock")
}

// claims is the path of the file that says what is claimed, beside the control socket.
func (c *command) claims() string { return strings.TrimSuffix(c.socket(), ".sock") + ".claims" }

// reload is --reload: it asks the running daemon to read its configuration again, and waits for
// what comes of it. It returns the exit status.
func reload(c command, stderr io.Writer) int {
	c.warn(stderr)
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	q := daemon.Question{Ask: daemon.DoReload}
	if c.file != defaultFile {
		file, err := filepath.Abs(c.file)
		if err != nil {
			fmt.Fprintf(stderr, "tandemd: reload: %v\n", err)
			return exitFatal
		}
		q.File = file
	}
	out, err := daemon.Ask(ctx, c.socket(), q)
	if err != nil {
		fmt.Fprintf(stderr, "tandemd: reload: %v\n", err)
		return exitFatal
	}
	fmt.Fprint(stderr, out.Diagnostics)
	for _, s := range out.Steps {
		fmt.Fprintf(stderr, "tandemd: %s\n", s)
	}
	switch {
	case out.Applied:
		return exitOK
	case out.Invalid:
		fmt.Fprintf(stderr, "tandemd: reload refused: %s\n", out.Error)
		return testStatus(daemon.Unusable)
	}
	fmt.Fprintf(stderr, "tandemd: reload refused: %s\n", out.Error)
	return exitFatal
}
