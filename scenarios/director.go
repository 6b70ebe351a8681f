package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
)

// tandemdVariable names the tandemd to run where it is not beside this program.
const tandemdVariable = "TANDEM_TANDEMD"

// Director is the program that runs on the directors: a black box that reads keepalived.conf.
type Director struct {
	// Name is what reports call it: "tandemd", "keepalived", or the command.
	Name string
	// Path is the executable.
	Path string
	// Args come before the configuration file's flag.
	Args []string
	// Status are the arguments with which the program asks a running director how it is, and prints an
	// object of JSON with the conditions in it; nil: it cannot.
	Status []string
}

// FindDirector returns the director that a command line asks for: "tandemd" (TANDEM_TANDEMD, beside
// this program, or on PATH), "keepalived", or a command with arguments. The command is given keepalived's flags
// `-n -l -D -f FILE` behind its own arguments.
func FindDirector(command string) (Director, error) {
	words := strings.Fields(command)
	if len(words) == 0 {
		return Director{}, fmt.Errorf("find director: the command is empty")
	}
	d := Director{Name: command, Args: append(words[1:], "-n", "-l", "-D")}
	var err error
	if command == "tandemd" {
		d.Path, err = findTandemd()
		d.Status = []string{"--status", "--format", "json"}
	} else {
		d.Path, err = kernel.LookTool(words[0])
	}
	if err != nil {
		return Director{}, fmt.Errorf("find director %s: %w", command, err)
	}
	return d, nil
}

func findTandemd() (string, error) {
	if path := os.Getenv(tandemdVariable); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", tandemdVariable, err)
		}
		return path, nil
	}
	if self, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(self), "tandemd")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return kernel.LookTool("tandemd")
}

// version asks the program for its version, as run on a node; empty where it does not say.
func (d Director) version(ctx context.Context, n *lab.Node) string {
	result, err := n.Exec(ctx, d.Path, "-v")
	if err != nil || result.Status != 0 {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(result.Output)), "\n")
	return first
}

// start starts the director on a node with a configuration file. Process identity files that an
// earlier one left behind are removed first, as an init system does: each director has a PID namespace
// of its own, where the numbers of a dead one come again.
func (d Director) start(ctx context.Context, n *lab.Node, file string) (*lab.Process, error) {
	err := n.Do(ctx, func() error {
		stale, err := filepath.Glob("/run/*.pid")
		for _, name := range stale {
			err = errors.Join(err, os.Remove(name))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("remove stale files: %w", err)
	}
	return n.Start(ctx, lab.Command{
		Name:  d.Path,
		Args:  append(d.Args[:len(d.Args):len(d.Args)], "-f", file),
		Label: filepath.Base(d.Path),
		Init:  true,
	})
}
