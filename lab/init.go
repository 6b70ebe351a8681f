package lab

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// initRoleName is the name of the built-in init's role.
const initRoleName = "init"

// controlDescriptor is the init's end of a connection with the lab, the first after the standard
// three.
const controlDescriptor = 3

// initStarted is what the init says when its program runs; anything else is why it does not.
const initStarted = "started"

// initRole is a small init: process 1 of a PID namespace, with a /proc of that namespace. It starts
// the program in its arguments, path first, lets the lab find it, and waits for everything that
// ends. It ends, with the program's status, when nothing is left.
func initRole() Role {
	return Role{Name: initRoleName, Run: func(args []string) error {
		if len(args) < 2 {
			return fmt.Errorf("want arguments PATH NAME…, have %q", args)
		}
		control := os.NewFile(controlDescriptor, "control")
		syscall.CloseOnExec(controlDescriptor)
		program, err := startProgram(args[0], args[1:])
		if err != nil {
			fmt.Fprintln(control, err)
			return err
		}
		fmt.Fprintln(control, initStarted)
		// Until the lab hangs up, a program that has ended must not be waited for: it would not be
		// found.
		if _, err := control.Read(make([]byte, 1)); err == nil {
			return errors.New("read control connection: it has no more to say")
		}
		control.Close()
		os.Exit(reap(program))
		return nil
	}}
}

// startProgram mounts the namespace's own /proc and starts a program with the init's own standard
// files, environment and folder.
func startProgram(path string, args []string) (pid int, err error) {
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return 0, fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", flags, ""); err != nil {
		return 0, fmt.Errorf("mount /proc: %w", err)
	}
	return syscall.ForkExec(path, args, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: isTerminal(0)},
	})
}

// isTerminal says whether a descriptor is that of a terminal.
func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

// reap waits for every process of the namespace and returns the status of the program among them.
func reap(program int) int {
	result := 0
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return result
		case pid == program:
			result = exitStatus(status)
		}
	}
}

// exitStatus is a status as shells count: 128 and the signal's number for one that a signal ended.
func exitStatus(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// underInit changes a command that is about to be started into one of the built-in init that starts
// it, and returns the lab's end of the connection with it. The caller closes both files.
func underInit(c Command, path string) (changed Command, ours, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return c, nil, nil, fmt.Errorf("make control connection: %w", err)
	}
	name := c.Name
	if c.argv0 != "" {
		name = c.argv0
	}
	c.Args = append([]string{path, name}, c.Args...)
	c.Name, c.argv0 = selfExe, rolePrefix+initRoleName
	return c, os.NewFile(uintptr(pair[0]), "control"), os.NewFile(uintptr(pair[1]), "control"), nil
}

// awaitProgram waits until the init of a process has started its program, and returns it.
func (p *Process) awaitProgram(control *os.File) (*os.Process, error) {
	answer, err := bufio.NewReader(control).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("await init: %w", err)
	}
	if answer = strings.TrimSpace(answer); answer != initStarted {
		return nil, errors.New(answer)
	}
	pids, err := p.family()
	if err != nil {
		return nil, fmt.Errorf("find program: %w", err)
	}
	for _, pid := range pids {
		if readTask(pid).parent == p.cmd.Process.Pid {
			return os.FindProcess(pid)
		}
	}
	return nil, errors.New("find program: init has no child")
}
