package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// configFlags name the option, of every director that a lab can run, before the name of its
// configuration file.
var configFlags = []string{"-f", "--use-file"}

// spoilers are the ways to break a configuration file, by the words of the parameter "what".
var spoilers = map[string]func(text string) string{
	"typo": func(text string) string {
		return strings.Replace(text, "virtual_router_id ", "virtual_router_id x", 1) + "}\n"
	},
	"unclosed": func(text string) string {
		return text[:max(strings.LastIndex(text, "}"), 0)]
	},
	"half":  func(text string) string { return text[:len(text)/2] },
	"empty": func(string) string { return "" },
	"noise": func(text string) string {
		return "\x00\xff\x7fELF{{{ " + strings.Repeat("}{\x01 ", 100) + text
	},
}

// configBroken gives a director a file that it cannot read and tells it to. The heal does the same
// with the file as it was.
func configBroken(_ request, v *values) injector {
	spoil := spoilers[v.word("what")]
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		u, err := runs(n, DirectorUnit)
		if err != nil {
			return nil, err
		}
		file, err := configOf(u.Process())
		if err != nil {
			return nil, err
		}
		good, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		bad := []byte(spoil(string(good)))
		if bytes.Equal(bad, good) {
			return nil, fmt.Errorf("%w: the file %s stays as it is", ErrNotInjected, file)
		}
		if err := reload(u, file, bad); err != nil {
			return nil, errors.Join(err, reload(u, file, good))
		}
		return func(ctx context.Context) error {
			if err := reload(u, file, good); err != nil {
				return err
			}
			return start(ctx, u)
		}, nil
	}
}

// reload writes a director's file and tells it, if it runs.
func reload(u *lab.Unit, file string, text []byte) error {
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, text) {
		return errors.Join(err, fmt.Errorf("%s is not what was written", file))
	}
	err := u.Process().Signal(unix.SIGHUP)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// configOf returns the configuration file of a director, as its command names it and this process
// finds it.
func configOf(p *lab.Process) (string, error) {
	root := fmt.Sprintf("/proc/%d", p.Pid())
	command, err := os.ReadFile(root + "/cmdline")
	if err != nil {
		return "", fmt.Errorf("read command: %w", err)
	}
	dir, err := os.Readlink(root + "/cwd")
	if err != nil {
		return "", fmt.Errorf("read working directory: %w", err)
	}
	words := strings.Split(string(command), "\x00")
	for i, word := range words {
		name, value, joined := strings.Cut(word, "=")
		if !slices.Contains(configFlags, name) {
			continue
		}
		if !joined && i+1 < len(words) {
			value = words[i+1]
		}
		if !filepath.IsAbs(value) {
			value = filepath.Join(dir, value)
		}
		return value, nil
	}
	return "", fmt.Errorf("the command of %s names no configuration file (-f FILE)", p)
}
