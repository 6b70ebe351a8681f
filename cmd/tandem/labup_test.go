package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/live"
	"github.com/tandemlb/tandem/topology"
)

// terminals is somebody with a folder of labs of their own, who types commands.
type terminals struct {
	t   *testing.T
	dir string // the working directory
	run string // XDG_RUNTIME_DIR
	// program is this one, as they have it.
	program *exec.Cmd
}

// newTerminals takes every lab down at the end of the test.
func newTerminals(t *testing.T) *terminals {
	t.Helper()
	program := tandem(t)
	run, err := os.MkdirTemp("/tmp", "labs-") // sockets cannot have long names
	if err != nil {
		t.Fatal(err)
	}
	s := &terminals{t: t, dir: t.TempDir(), run: run, program: program}
	s.program.Env = append(s.program.Env, "XDG_RUNTIME_DIR="+run)
	t.Cleanup(func() {
		if _, said, status := s.do("", "lab", "down", "--all"); status != 0 {
			t.Errorf("take the labs down: status %d\n%s", status, said)
		}
		os.RemoveAll(run)
	})
	return s
}

func (s *terminals) command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.program.Path, args...)
	cmd.Env, cmd.Dir = s.program.Env, s.dir
	return cmd
}

// do runs a command with some input.
func (s *terminals) do(input string, args ...string) (stdout, stderr string, status int) {
	s.t.Helper()
	cmd := s.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	var failed *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failed) {
		s.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that has to succeed.
func (s *terminals) must(args ...string) string {
	s.t.Helper()
	out, said, status := s.do("", args...)
	if status != 0 {
		s.t.Fatalf("tandem %s: status %d\n%s%s", strings.Join(args, " "), status, out, said)
	}
	return out
}

// quick writes a topology like figure 5 whose directors elect a master in half a second, and returns
// what names it.
func (s *terminals) quick() string {
	s.t.Helper()
	network, err := topology.Preset("fig5")
	if err != nil {
		s.t.Fatal(err)
	}
	network.VRRP = topology.VRRP{Version: 3, Advert: 100 * time.Millisecond}
	b, err := topology.Marshal(network)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, "quick.yaml"), b, 0o644)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return "quick.yaml"
}

// status asks the only lab that is up.
func (s *terminals) status() live.Status {
	s.t.Helper()
	place, err := live.NewPlace(filepath.Join(s.run, "tandem"))
	if err != nil {
		s.t.Fatal(err)
	}
	lab, err := place.Find("")
	if err != nil {
		s.t.Fatal(err)
	}
	status, err := lab.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

// labLimit is how long anything in a lab may take: several times what it takes on a quiet machine.
const labLimit = 2 * time.Minute

// await waits until the lab's status is as wanted.
func (s *terminals) await(what string, reached func(live.Status) bool) {
	s.t.Helper()
	await(s.t, what, func() bool { return reached(s.status()) })
}

func await(t *testing.T, what string, reached func() bool) {
	t.Helper()
	limit := time.After(labLimit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !reached() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("await %s: not within %s", what, labLimit)
		}
	}
}

// heldBy says who has the VIPs, and that nobody else has one.
func heldBy(s live.Status, node string) bool {
	for _, v := range s.VIPs {
		if len(v.Holders) != 1 || v.Holders[0] != node {
			return false
		}
	}
	return true
}

func TestLab(t *testing.T) {
	for _, tt := range []struct{ kernel, network, where string }{
		{"auto", "fig5", "the best there is"}, {"uml", "fig7", "a guest"},
	} {
		t.Run("in "+tt.where, func(t *testing.T) {
			s := newTerminals(t)
			s.must("lab", "up", "-t", "preset:"+tt.network, "--kernel", tt.kernel)
			status := s.status()
			if status.Name != tt.network || status.Director != "tandemd" || !heldBy(status, "lb1") {
				t.Errorf("status %+v, want tandemd on %s and its VIPs on lb1", status, tt.network)
			}
			if tt.kernel == "uml" && status.Kernel != live.InGuest {
				t.Errorf("the lab is in kernel %s", status.Kernel)
			}
			t.Run("status", func(t *testing.T) { labStatus(t, s) })
			t.Run("exec", func(t *testing.T) { labExec(t, s) })
			t.Run("faults", func(t *testing.T) { labFaults(t, s) })
			t.Run("capture", func(t *testing.T) { labCapture(t, s) })
			t.Run("shell", func(t *testing.T) { labShell(t, s) })
			s.must("lab", "down")
			if _, said, status := s.do("", "lab", "status"); status != exitInconclusive ||
				!strings.Contains(said, "tandem lab up") {
				t.Errorf("status of no lab: exit status %d, %q", status, said)
			}
			left, err := filepath.Glob(filepath.Join(s.run, "tandem", "*"))
			if err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func labStatus(t *testing.T, s *terminals) {
	var status live.Status
	out := s.must("lab", "status", "--format", "json")
	if err := json.Unmarshal([]byte(out), &status); err != nil || len(status.Nodes) < 3 {
		t.Errorf("status as JSON: %v\n%s", err, out)
	}
	for _, line := range strings.Split(s.must("lab", "status"), "\n") {
		if utf8.RuneCountInString(line) > 80 || strings.TrimRight(line, " ") != line {
			t.Errorf("more than 80 columns, or spaces at the end: %q", line)
		}
	}
}

func labExec(t *testing.T, s *terminals) {
	tests := []struct {
		name, input, out, errs string
		args                   []string
		status                 int
	}{
		{"output and errors apart", "", "out\n", "err\n",
			[]string{"lb1", "sh", "-c", "echo out; echo err >&2"}, 0},
		{"input", "a\nb\n", "b\na\n", "", []string{"lb2", "tac"}, 0},
		{"status", "", "", "", []string{"client1", "sh", "-c", "exit 42"}, 42},
		{"ended by a signal", "", "", "", []string{"client1", "sh", "-c", "kill -9 $$"}, 137},
		{"its own network", "", "2: eth0    inet 192.168.1.100/24", "",
			[]string{"client1", "ip", "-o", "-4", "addr", "show", "eth0"}, 0},
		{"flags are the program's", "", "lb1\n", "", []string{"lb1", "uname", "--nodename"}, 0},
		{"no such program", "", "", "tandem: start no-such-program on lb1",
			[]string{"lb1", "no-such-program"}, exitNoProgram},
		{"no such node", "", "", `tandem: find node "lb9": the lab has client1`, []string{"lb9", "ls"},
			exitUsage},
	}
	for _, tt := range tests {
		out, said, status := s.do(tt.input, append([]string{"lab", "exec"}, tt.args...)...)
		if status != tt.status || !strings.HasPrefix(out, tt.out) || !strings.HasPrefix(said, tt.errs) {
			t.Errorf("%s: status %d, output %q, errors %q; want %d, %q, %q", tt.name, status, out, said,
				tt.status, tt.out, tt.errs)
		}
	}
	file := filepath.Join(s.dir, "from-the-lab")
	s.must("lab", "exec", "lb1", "sh", "-c", "echo here > from-the-lab")
	if b, err := os.ReadFile(file); err != nil || string(b) != "here\n" {
		t.Errorf("a program wrote %q, %v into the working directory", b, err)
	}
}

func labFaults(t *testing.T, s *terminals) {
	s.must("fault", "inject", "director-k", "@master", "--for", "5s")
	status := s.status()
	if len(status.Faults) != 1 || status.Faults[0].Kind != "director-killed" ||
		!cmp.Equal(status.Faults[0].Targets, []string{"lb1"}) {
		t.Errorf("faults %+v, want that lb1 is killed", status.Faults)
	}
	s.await("the takeover", func(s live.Status) bool { return heldBy(s, "lb2") })
	s.await("the end of the fault", func(s live.Status) bool { return len(s.Faults) == 0 })
	s.await("the fail-back", func(s live.Status) bool { return heldBy(s, "lb1") })

	s.must("fault", "inject", "link-down", "lb?:eth0")
	s.must("fault", "inject", "power-off", "client1")
	list := s.must("fault", "list")
	for _, want := range []string{"link-down lb1:eth0, lb2:eth0", "power-off client1"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list of faults lacks %q:\n%s", want, list)
		}
	}
	if _, said, status := s.do("", "lab", "exec", "client1", "ls"); status != exitFail {
		t.Errorf("exec on a node without power: status %d, %s", status, said)
	}
	want := "healed fault 3: power-off client1\nhealed fault 2: link-down lb1:eth0, lb2:eth0\n"
	if diff := cmp.Diff(want, s.must("fault", "heal")); diff != "" {
		t.Errorf("heal (-want +got):\n%s", diff)
	}
	s.await("the master", func(s live.Status) bool { return heldBy(s, "lb1") })

	refused := []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"director-frozen", "all"}, exitFail, "client1 has no director"},
		{[]string{"frozen", "lb1"}, exitUsage, "director-frozen, worker-frozen"},
		{[]string{"link-down", "lb1"}, exitUsage, "NODE:INTERFACE"},
		{[]string{"director-frozen", "lb1", "--set", "depth=3"}, exitUsage, `no parameter "depth"`},
		{[]string{"director-frozen", "lb9"}, exitUsage, "matches none of client1"},
	}
	for _, tt := range refused {
		_, said, status := s.do("", append([]string{"fault", "inject"}, tt.args...)...)
		if status != tt.status || !strings.Contains(said, tt.says) {
			t.Errorf("inject %v: status %d, %q; want %d and a word on %q", tt.args, status, said,
				tt.status, tt.says)
		}
	}
	for _, n := range s.status().Nodes {
		for _, u := range n.Units {
			if u.State != "running" {
				t.Errorf("after faults that were refused %s of %s is %s", u.Name, n.Name, u.State)
			}
		}
	}
	if out, said, status := s.do("", "fault", "heal", "99"); status != exitUsage {
		t.Errorf("heal of no fault: status %d, %s%s", status, out, said)
	}
}

func labCapture(t *testing.T, s *terminals) {
	_, said, status := s.do("", "lab", "capture", "@directors:eth0", "client1", "--for", "3s",
		"-w", "a.pcapng")
	if status != 0 || !strings.Contains(said, "packets of lb1:eth0, lb2:eth0, client1:eth0") {
		t.Fatalf("capture: status %d\n%s", status, said)
	}
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("no tshark to read the capture")
	}
	file := filepath.Join(s.dir, "a.pcapng")
	out, err := exec.Command(tshark, "-r", file, "-Y", "vrrp", "-T", "fields",
		"-e", "frame.interface_name", "-e", "ip.src").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	for _, want := range []string{"lb1:eth0", "lb2:eth0", "client1:eth0"} {
		if !strings.Contains(string(out), want+"\t192.168.1.2\n") {
			t.Errorf("tshark shows no advert of lb1 on %s:\n%s", want, out)
		}
	}
	order, err := exec.Command(tshark, "-r", file, "-T", "fields", "-e", "frame.time_epoch").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	last := ""
	for time := range strings.Lines(string(order)) { // all of one length
		if time < last {
			t.Errorf("a packet of %s comes after one of %s", time, last)
		}
		last = time
	}
	_, said, status = s.do("", "lab", "capture", "lb1:eth9", "-w", "b.pcapng")
	if status != exitUsage {
		t.Errorf("capture of no interface: status %d, %s", status, said)
	}
}

func labShell(t *testing.T, s *terminals) {
	script := "# a comment\nlb1 echo $((1 + 1)) | tr 2 3\nclient1 echo lb2 client1\nheal\n" +
		"nonsense\nlb2 sleep 3600 &\nlb2 exit 7\n"
	out, said, status := s.do(script, "lab", "shell")
	if diff := cmp.Diff("3\n192.168.1.3 192.168.1.100\nno fault holds\n", out); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if status != 7 || !strings.Contains(said, `"nonsense" is no node`) {
		t.Errorf("status %d, %q; want 7 and a word on nonsense", status, said)
	}
}

func TestLabsSideBySide(t *testing.T) {
	s := newTerminals(t)
	s.must("lab", "up", "-t", s.quick())
	s.must("lab", "up", "-t", s.quick(), "--name", "other")
	tests := []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"lab", "up", "-t", "preset:fig5"}, exitInconclusive, "tandem lab down fig5"},
		{[]string{"lab", "up", "-t", "preset:fig5", "--name", "other", "--foreground"},
			exitInconclusive, "a lab of that name is up"},
		{[]string{"lab", "status"}, exitUsage, "fig5, other by --name"},
		{[]string{"lab", "down"}, exitUsage, "fig5, other by --name"},
		{[]string{"lab", "down", "third"}, exitInconclusive, "there is fig5, other"},
		{[]string{"lab", "up", "--name", "A/B"}, exitUsage, "lower-case"},
		{[]string{"lab", "capture", "lb1", "--name", "other"}, exitUsage, "-w FILE"},
		{[]string{"lab", "up", "-t", "preset:fig8"}, exitInconclusive, "fig7"},
		{[]string{"lab", "up", "--director", "no-such-program"}, exitInconclusive, "no-such-program"},
	}
	for _, tt := range tests {
		_, said, status := s.do("", tt.args...)
		if status != tt.status || !strings.Contains(said, tt.says) {
			t.Errorf("tandem %s: status %d, %q; want %d and a word on %q", strings.Join(tt.args, " "),
				status, said, tt.status, tt.says)
		}
	}
	s.must("fault", "inject", "link-down", "lb1:eth0", "--name", "other")
	var rows []labRow
	if err := json.Unmarshal([]byte(s.must("lab", "list", "--format", "json")), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Name != "fig5" || rows[0].Faults != 0 || rows[1].Faults != 1 {
		t.Errorf("labs %+v, want fig5, and other with a fault", rows)
	}
	s.must("lab", "down", "other")
	out := s.must("lab", "list")
	if !strings.Contains(out, "fig5") || strings.Contains(out, "other") {
		t.Errorf("labs after one went down:\n%s", out)
	}
}
