package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/lab/kernel/build"
)

// kernelCommand runs one of the commands on the cache below $XDG_CACHE_HOME and returns what it
// printed and its exit status.
func kernelCommand(t *testing.T, args ...string) (string, int, error) {
	t.Helper()
	root := &cobra.Command{Use: "kernel", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(newKernelBuild(), newKernelList(), newKernelPath(), newKernelRemove())
	var out bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(context.Background())
	var exit exitError
	switch {
	case err == nil:
		return out.String(), exitPass, nil
	case errors.As(err, &exit):
		return out.String(), exit.status, err
	}
	return out.String(), exitUsage, err
}

// staleKernel puts a kernel of another recipe into the cache and returns its directory.
func staleKernel(t *testing.T, cache, hash string) string {
	t.Helper()
	dir := filepath.Join(cache, "tandem", "kernels", "6.1.1-1-"+hash)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m, err := json.Marshal(build.Manifest{Source: "linux-source-6.1", Version: "6.1.1-1", Hash: hash,
		KernelSum: fmt.Sprintf("%x", sha256.Sum256([]byte("kernel")))})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"linux": "kernel", "manifest.json": string(m)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestKernelCacheCommands(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	out, status, _ := kernelCommand(t, "list")
	if status != 0 || !strings.Contains(out, "kernel build") {
		t.Errorf("list of an empty cache: status %d, %q; want the command that fills it", status, out)
	}
	if out, _, _ := kernelCommand(t, "list", "--format", "json"); out != "[]\n" {
		t.Errorf("list of an empty cache as JSON: %q, want []", out)
	}
	one, two := staleKernel(t, cache, "aaaaaaaaaaaa"), staleKernel(t, cache, "aabbbbbbbbbb")
	want := "VERSION                  HASH             SIZE  STATE\n" +
		"6.1.1-1                  aaaaaaaaaaaa   0.0 MB  stale\n    " + one + "/linux\n" +
		"6.1.1-1                  aabbbbbbbbbb   0.0 MB  stale\n    " + two + "/linux\n"
	out, _, _ = kernelCommand(t, "list")
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	tests := []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"path"}, exitInconclusive, "tandem kernel build"},
		{[]string{"list", "--format", "xml"}, exitUsage, "table or json"},
		{[]string{"build", "-j", "-1"}, exitUsage, "--jobs"},
		{[]string{"remove"}, exitUsage, "HASH, --stale and --all"},
		{[]string{"remove", ""}, exitUsage, "HASH, --stale and --all"},
		{[]string{"remove", "aa", "--all"}, exitUsage, "HASH, --stale and --all"},
		{[]string{"remove", "--stale", "--all"}, exitUsage, "HASH, --stale and --all"},
		{[]string{"remove", "cc"}, exitUsage, "0 kernels"},
		{[]string{"remove", "aa"}, exitUsage, "2 kernels"},
		{[]string{"remove", "aaa"}, exitPass, "removed " + one},
		{[]string{"remove", "--stale"}, exitPass, "removed " + two},
		{[]string{"remove", "--all"}, exitPass, ""},
	}
	for _, tt := range tests {
		out, status, err := kernelCommand(t, tt.args...)
		if err != nil {
			out += err.Error()
		}
		if status != tt.status || !strings.Contains(out, tt.says) {
			t.Errorf("%q: status %d, %q; want %d and %q", tt.args, status, out, tt.status, tt.says)
		}
	}
}

func TestDoctorShowsVirtualTime(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var out bytes.Buffer
	diagnosis{VirtualTime: findVirtualTime()}.writeTable(&out)
	if !strings.Contains(out.String(), "virtual time     NO") ||
		!strings.Contains(out.String(), "tandem kernel build") {
		t.Errorf("doctor without the kernel:\n%s", out.String())
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if len([]rune(line)) > 80 {
			t.Errorf("%d columns: %s", len([]rune(line)), line)
		}
	}
}
