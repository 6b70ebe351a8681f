// Command tandemd is the director: it runs a keepalived.conf. It takes keepalived's options, stays
// in the foreground, and leaves the network as it found it.
//
// It is two processes. The one that was started is the guard; it starts the worker, which does
// everything, starts another when that dies, and clears up behind it; see package guard.
//
// Signals: TERM and INT stop it, HUP reads the configuration again. USR1 writes keepalived.data,
// USR2 keepalived.stats and RTMIN+2 keepalived.json, in /tmp unless the configuration says
// otherwise; --signum prints their numbers. --status says more than all of them.
//
// Exit status, as keepalived's: 0 stopped, 1 cannot run, 2 the configuration or the command line
// has errors, 4 a permission is missing, 6 there is no configuration. With -t: 0 would run as it is
// written, 5 would run but not all of it as it is written, 6 has a script that root would run and
// others can change, 4 would not run, or not beside the peer of --peer. With --reload: 0 taken over,
// 4 the file has errors, 1 not taken over. With --status: 0 the daemon has answered, whatever it
// says, 1 nobody has. With --drain, --undrain and --weight: 0 done, 2 there is no such server, 1 not
// done.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon"
	"github.com/tandemlb/tandem/daemon/guard"
)

// The exit status.
const (
	exitOK         = 0
	exitFatal      = 1
	exitConfig     = 2
	exitPermission = 4
	exitNoConfig   = 6

	exitTestUnusable   = 4
	exitTestRestricted = 5
	exitTestUnsafe     = 6
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments. It returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	if rest, asked := isGenhash(args); asked {
		return genhash(rest, stdout, stderr)
	}
	c := command{file: defaultFile, words: args}
	if err := parse(options(), args, &c); err != nil {
		fmt.Fprintf(stderr, "tandemd: %v\n", err)
		return exitConfig
	}
	if err := c.check(); err != nil {
		fmt.Fprintf(stderr, "tandemd: %v\n", err)
		return exitConfig
	}
	if !guard.IsWorker() {
		c.settle()
	}
	switch c.action {
	case actionHelp:
		writeOptions(stdout, usageHead, options())
		return exitOK
	case actionVersion:
		fmt.Fprintf(stdout, "tandemd %s\n", version())
		return exitOK
	case actionSignum:
		fmt.Fprintln(stdout, int(c.signum))
		return exitOK
	case actionTest:
		return test(c, stdout, stderr)
	case actionReload:
		return reload(c, stderr)
	case actionStatus:
		return showStatus(c, stdout, stderr)
	case actionCleanup:
		return cleanup(c, stderr)
	case actionOverride:
		return sendOverrides(c, stdout, stderr)
	case actionRun:
	}
	return serve(c, stdout, stderr)
}

// version is that of the module, and "(devel)" for a build of a working copy.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// exitStatus is that for an error of daemon.Run.
func exitStatus(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, daemon.ErrNoConfig):
		return exitNoConfig
	case errors.Is(err, daemon.ErrConfig):
		return exitConfig
	case errors.Is(err, daemon.ErrPermission), errors.Is(err, unix.EPERM):
		return exitPermission
	}
	return exitFatal
}
