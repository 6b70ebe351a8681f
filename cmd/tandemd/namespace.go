package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// enteredKey marks, in the environment, a process that runs in the namespace that it names.
const enteredKey = "TANDEMD_NAMESPACE"

// enter makes this process start anew in the named network namespace, for a namespace belongs to a
// thread, and a Go program has many. It returns nil only where it has been already.
//
// Equivalent to: `ip netns exec NAME tandemd …`, but for the mounts.
func enter(name string) error {
	if os.Getenv(enteredKey) == name {
		return nil
	}
	if err := os.Setenv(enteredKey, name); err != nil {
		return fmt.Errorf("mark process: %w", err)
	}
	ns, err := netns.GetFromName(name)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", name, err)
	}
	runtime.LockOSThread()
	if err := netns.Set(ns); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	if err := ns.Close(); err != nil {
		return fmt.Errorf("close network namespace %s: %w", name, err)
	}
	if err := unix.Exec("/proc/self/exe", os.Args, os.Environ()); err != nil {
		return fmt.Errorf("start anew in network namespace %s: %w", name, err)
	}
	return nil
}
