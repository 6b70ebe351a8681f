package main

import (
	"io/fs"
	"os"

	"github.com/tandemlb/tandem/daemon/config"
)

// settle takes from the configuration where the daemon is: its namespace, and its name among
// several. What the command line says counts more. A file that cannot be read says nothing here;
// who needs it will say why.
func (c *command) settle() {
	switch c.action {
	case actionRun, actionCleanup:
	case actionReload, actionStatus, actionOverride:
		if c.control != "" || len(c.pidFiles) > 0 {
			return // it is known where to ask
		}
	default:
		return
	}
	if info, err := os.Stat(c.file); err != nil || info.Mode().Type()&^fs.ModeDir != 0 {
		return // what comes by a pipe can be read once
	}
	if !mayNamePlace(c.file) {
		return
	}
	cfg, _ := config.Load(c.file, config.Options{ID: c.id, CheckIncludes: c.checkIncludes})
	if cfg == nil {
		return
	}
	place := cfg.Global.Namespace
	if c.namespace == "" {
		c.namespace = place.Network
	}
	c.instance = place.Instance
}

// mayNamePlace says whether it is worth to read the file for where the daemon is. To look for the
// words takes next to nothing, but to understand thousands of real servers does, and the worker,
// which will do that, waits for this process.
func mayNamePlace(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	may, err := config.MayNamePlace(f)
	return may || err != nil // a directory cannot be read so
}

// workerWords is the command line of the worker: it is told where the control socket is, for the
// file that says so may have been changed meanwhile.
func (c *command) workerWords() []string {
	return append([]string{"--control", c.socket()}, c.words...)
}
