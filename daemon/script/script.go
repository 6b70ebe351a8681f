// Package script runs commands of operators: trackers, notify scripts, checks. It never waits for
// one longer than it was told, and never leaves one behind: no process, descriptor, goroutine or
// thread.
//
// A command gets its own process group, the account that it is to have, /dev/null as its input, /
// as its directory, the umask 022 and ordinary scheduling, whatever this process has. It is
// executed as it stands, without a shell, but for two forms: a file that is neither a program nor
// says what interprets it is given to /bin/sh, and "<FILE" is good if a shell can open the file.
//
// Every Run marks all descriptors of this process from 3 on to be closed in programs that it
// starts.
package script

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

const (
	shell = "/bin/sh"
	// widerShell also opens /dev/tcp/HOST/PORT, for "<FILE".
	widerShell = "/bin/bash"
	// systemPath is where bare names are looked for if there is no PATH.
	systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Command is what is run, and by whom.
type Command struct {
	// Args are the program and its arguments. A program without a slash is looked for in PATH at
	// each run; one that does not start with a slash is taken from /.
	Args []string
	// Account runs it.
	Account
}

// String returns the command with spaces between the arguments, those with spaces quoted.
func (c Command) String() string {
	words := slices.Clone(c.Args)
	for i, w := range words {
		if w == "" || strings.ContainsFunc(w, unicode.IsSpace) {
			words[i] = fmt.Sprintf("%q", w)
		}
	}
	return strings.Join(words, " ")
}

// Equal says whether d is the same command, run by the same account, resolved or not.
func (c Command) Equal(d Command) bool {
	return slices.Equal(c.Args, d.Args) && c.User == d.User && c.Group == d.Group &&
		c.Supplementary == d.Supplementary
}

// Resolve returns the command with its account looked up, which each run of it then spares itself.
// An error says which user or group is unknown.
func (c Command) Resolve() (Command, error) {
	found, err := c.lookup()
	if err != nil {
		return c, err
	}
	c.ids = found
	return c, nil
}

// program returns the path and the arguments, with args[0], to execute.
func (c Command) program() (path string, args []string, err error) {
	switch {
	case len(c.Args) == 0 || c.Args[0] == "":
		return "", nil, errors.New("run script: no command")
	case strings.HasPrefix(c.Args[0], "<"):
		sh := widerShell
		if _, err := os.Stat(sh); err != nil {
			sh = shell
		}
		return sh, []string{sh, "-c", strings.Join(c.Args, " ")}, nil
	}
	path, err = find(c.Args[0])
	return path, c.Args, err
}

// find returns the absolute path of a program.
func find(name string) (string, error) {
	if strings.Contains(name, "/") {
		return filepath.Join("/", name), nil
	}
	search := os.Getenv("PATH")
	if search == "" {
		search = systemPath
	}
	for _, dir := range filepath.SplitList(search) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s in %s: %w", name, search, os.ErrNotExist)
}

// Options are how a command is run.
type Options struct {
	// Timeout is after what time it gets SIGTERM; 0 is never.
	Timeout time.Duration
	// Grace is from SIGTERM to SIGKILL; 0 means 2 s.
	Grace time.Duration
	// ExtraArgs follow the command's own.
	ExtraArgs []string
	// Env, as NAME=value, is added to the environment of this process.
	Env []string
	// Secure refuses what Check complains about.
	Secure bool
	// Leave does not end what the command left running in its process group; its output is not
	// kept then.
	Leave bool
}

// Result is how a run ended.
type Result struct {
	// Status is the exit status, -1 unless the command ended by itself.
	Status int
	// Signal ended it; 0 if none did.
	Signal syscall.Signal
	// TimedOut says that it was still running after Options.Timeout, however it then ended.
	TimedOut bool
	// Err says why it could not run, or why it was cut short; nil otherwise.
	Err error
	// Output is the end, at most 4 KiB, of what it wrote to standard output and error.
	Output string
	// Timeout is that of the Options.
	Timeout time.Duration
}

// OK says whether the command ran and was content.
func (r Result) OK() bool { return r.Err == nil && !r.TimedOut && r.Signal == 0 && r.Status == 0 }

// Reason says how the run ended, with the last line of its output if that was not well, as in
// "exit status 1: connection refused".
func (r Result) Reason() string {
	reason := fmt.Sprintf("exit status %d", r.Status)
	switch {
	case r.Err != nil:
		return r.Err.Error()
	case r.TimedOut:
		reason = fmt.Sprintf("timed out after %s", r.Timeout)
	case r.Signal != 0:
		reason = "killed by " + unix.SignalName(r.Signal)
	case r.Status == 0:
		return reason
	}
	if line := lastLine(r.Output); line != "" {
		reason += ": " + line
	}
	return reason
}

// lineLimit bounds the line of output in a reason, in bytes.
const lineLimit = 200

// lastLine returns the last line that is not empty, in characters that a log can show.
func lastLine(output string) string {
	output = strings.TrimRightFunc(output, unicode.IsSpace)
	line := output[strings.LastIndexByte(output, '\n')+1:]
	line = line[:min(len(line), lineLimit)]
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return '?'
	}, line)
}
