package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// Master and backup stand for two machines: what becomes of a packet after it has left the one is no
// work of that one. The processor that a veth's packet is sent on would also carry it over the bridge
// and into the receiver's socket, at the sender's cost; so the ports hand it to another one, that of
// the backup.
const (
	masterCPU = 0
	backupCPU = 1
)

// keepApart gives the master a processor of its own, for as long as the pair lives. Where there is one
// only, or a kernel that cannot hand packets on, nothing happens.
//
// Equivalent to: `echo 2 > /sys/class/net/PORT/queues/rx-0/rps_cpus` for each port, and `taskset -a -p
// -c`.
//
// Source: Documentation/networking/scaling.rst, receive packet steering.
func (p *pair) keepApart(ctx context.Context, master, backup *lab.Process) error {
	if runtime.NumCPU() <= backupCPU {
		return nil
	}
	err := p.lab.Fabric().Do(ctx, func() error {
		ports, err := filepath.Glob("/sys/class/net/*/queues/rx-0/rps_cpus")
		for _, port := range ports {
			mask := strconv.FormatUint(1<<backupCPU, 16)
			err = errors.Join(err, os.WriteFile(port, []byte(mask), 0))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("hand packets on: %w", err)
	}
	return errors.Join(pin(master.Pid(), masterCPU), pin(backup.Pid(), backupCPU))
}

// pin has a program and its descendants, with all their threads, run on one processor.
func pin(pid, cpu int) error {
	pids, err := family(pid)
	if err != nil {
		return fmt.Errorf("pin process %d: %w", pid, err)
	}
	var set unix.CPUSet
	set.Set(cpu)
	for _, pid := range pids {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return fmt.Errorf("pin process %d: %w", pid, err)
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err == nil {
				err = unix.SchedSetaffinity(tid, &set)
			}
			if err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("pin process %d: %w", pid, err)
			}
		}
	}
	return nil
}
