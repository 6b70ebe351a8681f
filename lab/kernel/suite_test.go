package kernel_test

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
)

func TestSuiteEnvironment(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tandemd")
	if err := os.WriteFile(file, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	fixed := []string{"PATH=" + kernel.SystemPath, "HOME=/dev/shm/tmp", "TZ=UTC"}
	tests := []struct {
		name string
		host []string
		want []string // beside fixed
		seen map[string]string
	}{
		{"of a shell or a job nothing",
			[]string{"PATH=/opt/bin", "HOME=/home/me", "TMPDIR=/var/tmp", "TZ=Asia/Tokyo", "USER=me",
				"LANG=C.UTF-8", "CI=true", "GOFLAGS=-race", "GOPATH=/go", "PWD=/src", "XTANDEM_A=1"},
			nil, nil},
		{"how to start a guest is settled",
			[]string{"TANDEM_KERNEL=uml", "TANDEM_TIME=virtual", "TANDEM_GUEST=init", "TANDEM_SPEC=/s"},
			nil, nil},
		{"Go's runtime, and ours, in order, the last of a name",
			[]string{"TANDEM_B=2", "GOMAXPROCS=3", "TANDEM_A=1", "GODEBUG=gctrace=1", "TANDEM_B=4"},
			[]string{"GODEBUG=gctrace=1", "GOMAXPROCS=3", "TANDEM_A=1", "TANDEM_B=4"}, nil},
		{"files and directories at a path of the guest's",
			[]string{"TANDEM_TANDEMD=" + file, "TANDEM_DIR=" + dir, "TANDEM_GONE=" + dir + "/gone"},
			[]string{"TANDEM_DIR=/dev/shm/given/TANDEM_DIR", "TANDEM_GONE=" + dir + "/gone",
				"TANDEM_TANDEMD=/dev/shm/given/TANDEM_TANDEMD/tandemd"},
			map[string]string{"/dev/shm/given/TANDEM_DIR": dir, "/dev/shm/given/TANDEM_TANDEMD": dir}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env, seen := kernel.SuiteEnv(tt.host)
			if diff := cmp.Diff(slices.Concat(fixed, tt.want), env); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			if !maps.Equal(tt.seen, seen) {
				t.Errorf("seen %v, want %v", seen, tt.seen)
			}
		})
	}
}

func TestSuiteArguments(t *testing.T) {
	mounts := map[string]string{"/dev/shm/suite": "/src/runs", "/dev/shm/tree": "/src"}
	got := kernel.SuiteArgs([]string{"-test.v=true", "-test.testlogfile=/src/runs/testlog.txt",
		"-test.outputdir=/src/scenarios", "-test.coverprofile=/src/runs/cover", "/src", "/srcs/x",
		"-ginkgo.label-filter=a=/src/b", "plain=/src"}, mounts)
	want := []string{"-test.v=true", "-test.outputdir=/dev/shm/tree/scenarios",
		"-test.coverprofile=/dev/shm/suite/cover", "/dev/shm/tree", "/srcs/x",
		"-ginkgo.label-filter=a=/src/b", "plain=/src"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// tellPlace prints all that a suite can see of where it runs, does what makes Go's runtime and the
// kernel work, and says how long that took by the clock.
func tellPlace() int {
	self, _ := os.Executable()
	dir, _ := os.Getwd()
	fmt.Printf("%s %s %s\n%q\n%q\n", self, dir, os.TempDir(), os.Args, os.Environ())
	file, err := os.CreateTemp("", "")
	if err != nil {
		return 1
	}
	var kept [][]byte
	for i := range 200 {
		kept = append(kept, []byte(strings.Repeat(self+dir, 1000)))
		fmt.Fprintln(file, i, os.Environ())
	}
	_ = filepath.WalkDir(filepath.Dir(self), func(string, os.DirEntry, error) error { return nil })
	if err := exec.Command("true").Run(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(len(kept), lab.Monotonic())
	return 0
}

// TestVirtualSuiteIsTheSameFromEverywhere runs one test binary from two source trees, with
// environments and temporary directories that have nothing in common: it cannot tell, nor can its clock.
func TestVirtualSuiteIsTheSameFromEverywhere(t *testing.T) {
	cache, err := os.UserCacheDir() // which must be told from elsewhere than HOME
	if err != nil {
		t.Fatal(err)
	}
	run := func(place string, env ...string) string {
		cmd, _ := onVirtualTime(t, "suite")
		tree := filepath.Join(t.TempDir(), place)
		moved := filepath.Join(tree, "pkg", "kernel.test")
		for _, dir := range []string{filepath.Join(tree, "tmp"), filepath.Dir(moved)} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(tree, "go.mod"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		copyProgram(t, cmd.Path, moved)
		cmd.Path, cmd.Dir = moved, filepath.Dir(moved)
		cmd.Args = []string{moved, "-test.testlogfile=" + tree + "/log", "-test.outputdir=" + cmd.Dir}
		cmd.Env = append(append(cmd.Env, "TMPDIR="+filepath.Join(tree, "tmp")), env...)
		return output(t, cmd)
	}
	one := run("a", "HOME=/", "XDG_CACHE_HOME="+cache, "TANDEM_TIME=real")
	two := run(strings.Repeat("b", 100), "PATH=/nowhere:"+os.Getenv("PATH"), "LANG=fr_FR.UTF-8",
		"PADDING="+strings.Repeat("x", 5000), "TANDEM_KERNEL=uml", "TZ=Asia/Tokyo")
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("two places (-one +two):\n%s", diff)
	}
	for _, want := range []string{"/dev/shm/suite/kernel.test /dev/shm/tree/pkg /dev/shm/tmp\n",
		`"-test.outputdir=/dev/shm/suite"`, "200 "} {
		if !strings.Contains(one, want) {
			t.Errorf("the suite says nothing of %s:\n%s", want, one)
		}
	}
}

// copyProgram copies an executable.
func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	r, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(w, r)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
