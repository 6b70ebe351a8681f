package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sampleFiles are the configurations that Debian's keepalived package brings. They are not ours to
// keep: what is expected of them is.
var sampleFiles = []string{
	"/etc/keepalived/keepalived.conf.sample",
	"/usr/share/doc/keepalived/samples/keepalived.conf.*",
}

// TestSamples reads the samples and compares what is said, and how many objects come out, with
// testdata/samples.golden. Those that need conditions, variables or includes say so there.
func TestSamples(t *testing.T) {
	var b strings.Builder
	count := 0
	for _, pattern := range sampleFiles {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if filepath.Ext(file) == ".gz" {
				continue
			}
			count++
			b.WriteString(reportSample(t, file))
		}
	}
	if count == 0 {
		t.Skip("the keepalived package is not installed: there are no samples to read")
	}
	const golden = "testdata/samples.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(readFile(t, golden)), b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func reportSample(t *testing.T, file string) string {
	t.Helper()
	name := filepath.Base(file)
	c, ds := Parse(name, readFile(t, file))
	reals, checks := 0, 0
	for _, s := range c.VirtualServers {
		reals += len(s.RealServers)
		for _, rs := range s.RealServers {
			checks += len(rs.Checks)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "== %s\ninstances %d, groups %d, trackers %d, services %d, real servers %d, "+
		"checks %d\n%s", name, len(c.Instances), len(c.SyncGroups),
		len(c.Scripts)+len(c.Files)+len(c.Processes)+len(c.BFDs),
		len(c.VirtualServers), reals, checks, ds)
	if ds.Err() == nil {
		checkRoundTrip(t, c)
	}
	return b.String()
}
