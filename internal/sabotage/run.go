package sabotage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Run runs a director under a saboteur until it ends and returns its exit status. args are the
// director's own, among them -f and a configuration file. Signals are handed on. The error says
// that the director could not be run, or not be spoilt.
func Run(ctx context.Context, s Saboteur, path string, args []string) (status int, err error) {
	r := &runner{saboteur: s}
	if args, err = r.divert(args); err != nil {
		return 1, err
	}
	text, err := r.spoil()
	if err != nil {
		return 1, err
	}
	r.victim = victimOf(text)
	r.victim.stop = func() error { return r.signalAll(unix.SIGSTOP) }
	r.victim.proceed = func() error { return r.signalAll(unix.SIGCONT) }
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGTERM, unix.SIGINT)
	defer signal.Stop(signals)
	r.cmd = exec.Command(path, args...)
	r.cmd.Stdout, r.cmd.Stderr = os.Stdout, os.Stderr
	if err := r.cmd.Start(); err != nil {
		return 1, fmt.Errorf("start director: %w", err)
	}
	return r.follow(ctx, text, signals)
}

// runner is a director that runs under a saboteur.
type runner struct {
	saboteur Saboteur
	victim   *victim
	cmd      *exec.Cmd
	// file is the configuration, spoilt the one that the director reads.
	file, spoilt string
}

// divert has the director read another file than it is told to.
func (r *runner) divert(args []string) ([]string, error) {
	i := slices.Index(args, "-f")
	if i < 0 || i+1 >= len(args) {
		return nil, errors.New("spoil a director: its arguments have no -f FILE")
	}
	r.file = args[i+1]
	r.spoilt = strings.TrimSuffix(r.file, filepath.Ext(r.file)) + ".spoilt"
	args = slices.Clone(args)
	args[i+1] = r.spoilt
	return args, nil
}

// spoil writes the configuration that the director reads, and returns it as it should have been.
func (r *runner) spoil() (string, error) {
	text, err := os.ReadFile(r.file)
	if err != nil {
		return "", fmt.Errorf("read configuration: %w", err)
	}
	if err := os.WriteFile(r.spoilt, []byte(r.saboteur.Edit(string(text))), 0o644); err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	return string(text), nil
}

// follow spoils what the director does until it ends.
func (r *runner) follow(ctx context.Context, text string, signals <-chan os.Signal) (int, error) {
	ctx, stop := context.WithCancel(ctx)
	var spoiling sync.WaitGroup
	var broken error
	active := r.saboteur.spoils(text)
	if active && r.saboteur.live != nil {
		spoiling.Go(func() { broken = r.saboteur.live(r.victim, ctx) })
	}
	ended := make(chan error, 1)
	go func() { ended <- r.cmd.Wait() }()
	asked := false
	for {
		select {
		case got := <-signals:
			if got != unix.SIGHUP {
				asked = true
				stop()
				spoiling.Wait()
			} else if err := r.reload(active); err != nil {
				fmt.Fprintln(os.Stderr, "saboteur:", err)
			}
			if err := r.cmd.Process.Signal(got); err != nil && !errors.Is(err, os.ErrProcessDone) {
				fmt.Fprintln(os.Stderr, "saboteur:", err)
			}
		case <-ended:
			stop()
			spoiling.Wait()
			if active && asked && r.saboteur.leave != nil {
				broken = errors.Join(broken, r.saboteur.leave(r.victim))
			}
			return r.cmd.ProcessState.ExitCode(), broken
		}
	}
}

// reload spoils a reload.
func (r *runner) reload(active bool) error {
	_, err := r.spoil()
	if active && r.saboteur.reload != nil {
		err = errors.Join(err, r.saboteur.reload(r.victim))
	}
	return err
}

// signalAll sends a signal to the director and every process that descends from it.
func (r *runner) signalAll(s syscall.Signal) error {
	parents, err := parentsOf()
	if err != nil {
		return err
	}
	for pid := range parents {
		for p := pid; p > 1; p = parents[p] {
			if p != r.cmd.Process.Pid {
				continue
			}
			if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("signal %d: %w", pid, err)
			}
		}
	}
	return nil
}

// parentsOf returns the parent of every process.
//
// Source: proc(5), /proc/pid/stat.
func parentsOf() (map[int]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	parents := map[int]int{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		_, rest, _ := strings.Cut(string(b), ") ")
		if words := strings.Fields(rest); len(words) > 1 {
			parents[pid], _ = strconv.Atoi(words[1])
		}
	}
	return parents, nil
}
