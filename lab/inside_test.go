package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/topology"
)

func TestFitName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, want string }{
		{"lb1.eth0", "lb1.eth0"},
		{"exactly15.bytes", "exactly15.bytes"},
		{"one-more-than.15", "port7"},
	} {
		if got := fitName(test.name, "port", 7); got != test.want {
			t.Errorf("fitName(%q) = %q, want %q", test.name, got, test.want)
		}
	}
}

func TestHardwareAddr(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, addr, want string
	}{
		{"IPv4", "192.168.1.2", "02:00:c0:a8:01:02"},
		{"IPv4 in IPv6", "::ffff:10.0.0.1", "02:00:0a:00:00:01"},
		{"IPv6", "2001:db8:1::1:2", "02:00:01:00:00:02"},
		{"IPv6, networks by the fourth group", "2001:db8:0:ff02::1f3", "02:00:00:02:01:f3"},
	} {
		if got := HardwareAddr(netip.MustParseAddr(test.addr)).String(); got != test.want {
			t.Errorf("%s: HardwareAddr(%s) = %s, want %s", test.name, test.addr, got, test.want)
		}
	}
	if got := HardwareAddr(netip.Addr{}).String(); got != "02:00:00:00:00:00" {
		t.Errorf("HardwareAddr of no address = %s", got)
	}
}

func TestLinkLocal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ addr, want string }{
		{"2001:db8:1::2", "fe80::1ff:fe00:2"},
		{"2001:db8:0:ff02::1f3", "fe80::ff:fe02:1f3"},
		{"192.168.1.2", "invalid IP"},
		{"::ffff:192.168.1.2", "invalid IP"},
	} {
		if got := LinkLocal(netip.MustParseAddr(test.addr)).String(); got != test.want {
			t.Errorf("LinkLocal(%s) = %s, want %s", test.addr, got, test.want)
		}
	}
}

func TestSysctlTablesSayEverythingOnce(t *testing.T) {
	t.Parallel()
	for _, six := range []bool{false, true} {
		seen := make(map[string]bool)
		for _, s := range append(sysctlsOf(six), ipvsSysctls...) {
			if seen[s.path] {
				t.Errorf("%s stands twice", s.path)
			}
			seen[s.path] = true
			if s.value == "" || s.why == "" {
				t.Errorf("%s has value %q, reason %q", s.path, s.value, s.why)
			}
		}
	}
	// A change of it rewrites others.
	if first := sysctls[0].path; first != "net/ipv4/ip_forward" {
		t.Errorf("%s is written before ip_forward", first)
	}
}

func TestParseTask(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, status    string
		want            task
		stopped, active bool
	}{
		{"sleeping", "Name:\tsh\nState:\tS (sleeping)\nPPid:\t12\nShdPnd:\t0000000000000000\n",
			task{state: 'S', parent: 12}, false, true},
		{"stopped", "Name:\tsh\nState:\tT (stopped)\n", task{state: 'T'}, true, false},
		{"zombie", "State:\tZ (zombie)\n", task{state: 'Z'}, true, true},
		{"waiting in vfork, SIGSTOP sent", "State:\tD (disk sleep)\nShdPnd:\t0000000000040000\n",
			task{state: 'D', pending: 1 << (syscall.SIGSTOP - 1)}, true, true},
		{"waiting for a disk", "State:\tD (disk sleep)\nShdPnd:\t0000000000000000\n",
			task{state: 'D'}, false, true},
		{"a name that looks like a state", "Name:\tState:\tT\nState:\tR (running)\n",
			task{state: 'R'}, false, true},
		{"nothing", "", task{}, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := parseTask([]byte(test.status))
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(task{})); diff != "" {
				t.Errorf("task (-want +got):\n%s", diff)
			}
			if stopped(got) != test.stopped || going(got) != test.active {
				t.Errorf("stopped %v, going %v; want %v, %v",
					stopped(got), going(got), test.stopped, test.active)
			}
		})
	}
}

func FuzzParseTask(f *testing.F) {
	f.Add("sh", byte('T'), uint64(1<<(syscall.SIGSTOP-1)), uint16(1))
	f.Add("a\tname: S", byte('D'), uint64(0), uint16(0))
	f.Fuzz(func(t *testing.T, name string, state byte, pending uint64, parent uint16) {
		if state <= ' ' || state >= 0x7f || strings.ContainsAny(name, "\r\n") {
			t.Skip("the kernel writes no such thing")
		}
		status := fmt.Sprintf("Name:\t%s\nState:\t%c (some)\nPPid:\t%d\nShdPnd:\t%016x\n",
			name, state, parent, pending)
		want := task{state: state, pending: pending, parent: int(parent)}
		if got := parseTask([]byte(status)); got != want {
			t.Errorf("parseTask(%q) = %+v, want %+v", status, got, want)
		}
	})
}

func TestReadTaskOfNobody(t *testing.T) {
	t.Parallel()
	if got := readTask(-1); got.state != stateDead {
		t.Errorf("state of process -1 = %q, want dead", got.state)
	}
	if got := readTask(os.Getpid()); got.parent != os.Getppid() {
		t.Errorf("parent = %d, want %d", got.parent, os.Getppid())
	}
}

// TestFamilyIsNeverTheWholeMachine asks for the family of a process that is in the test's own
// namespace.
func TestFamilyIsNeverTheWholeMachine(t *testing.T) {
	t.Parallel()
	self := &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}
	p := &Process{cmd: self, program: self.Process, done: make(chan struct{})}
	if pids, err := p.family(); err == nil || len(pids) > 0 {
		t.Errorf("family() = %v, %v; want an error", pids, err)
	}
}

func TestReadRequest(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 2000)
	for _, test := range []struct {
		name, request, want string
		err                 error
	}{
		{"HTTP/1.1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\n", nil},
		{"HTTP/1.0 without headers", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n", nil},
		{"bare line feeds", "HEAD /x HTTP/1.0\nA: b\n\n", "HEAD /x HTTP/1.0\n", nil},
		{"nothing, as a TCP check sends", "", "", io.EOF},
		{"cut off in the headers", "GET / HTTP/1.1\r\nHost:", "", io.EOF},
		{"a line without end", long, "", bufio.ErrBufferFull},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := bufio.NewReaderSize(iotest.OneByteReader(strings.NewReader(test.request)), 1024)
			got, err := readRequest(in)
			if got.line != test.want || !errors.Is(err, test.err) {
				t.Errorf("readRequest = %q, %v; want %q, %v", got.line, err, test.want, test.err)
			}
		})
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, request []byte) {
		got, err := readRequest(bufio.NewReaderSize(strings.NewReader(string(request)), 64))
		if err == nil && !strings.HasPrefix(string(request), got.line) {
			t.Errorf("readRequest(%q) = %q, which it does not begin with", request, got.line)
		}
		if err == nil && !strings.HasSuffix(got.line, "\n") {
			t.Errorf("readRequest(%q) = %q, which is no line", request, got.line)
		}
	})
}

func TestServe(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	s := &server{name: "web1", protocol: topology.HTTP}
	go func() { ended <- serve(listener, s.answerer()) }()
	for _, test := range []struct{ method, body string }{{"GET", "web1\n"}, {"HEAD", ""}} {
		conn, err := net.Dial("tcp4", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: web1\r\n\r\n", test.method)
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") || body != test.body {
			t.Errorf("%s: answer %q; want status 200 and body %q", test.method, answer, test.body)
		}
		conn.Close()
	}
	listener.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("serve returned %v, want %v", err, net.ErrClosed)
	}
}

// TestJournalKeepsTheLastLines compares the journal with a plain list.
func TestJournalKeepsTheLastLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kept := rapid.IntRange(1, 5).Draw(t, "kept")
		j := newJournal("lb1", Clock{}, Options{TailLines: kept})
		self := &os.Process{Pid: 7}
		from := []*Process{{name: "a", program: self}, {name: "b", program: self}}
		var all []line
		for i := range rapid.IntRange(0, 12).Draw(t, "lines") {
			l := line{from: from[rapid.IntRange(0, 1).Draw(t, "from")], text: fmt.Sprint(i)}
			all = append(all, l)
			j.add(l)
		}
		all = all[max(0, len(all)-kept):]
		var want, wantB []string
		for _, l := range all {
			want = append(want, l.String())
			if l.from == from[1] {
				wantB = append(wantB, l.String())
			}
		}
		if diff := cmp.Diff(want, j.tail(0, nil)); diff != "" {
			t.Fatalf("all lines (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(wantB, j.tail(0, from[1])); diff != "" {
			t.Fatalf("lines of b (-want +got):\n%s", diff)
		}
	})
}

func TestJournalSplitsLongLines(t *testing.T) {
	t.Parallel()
	j := newJournal("lb1", Clock{}, Options{TailLines: 9})
	p := &Process{name: "sh", program: &os.Process{Pid: 7}}
	j.follow(p, strings.NewReader("short\n"+strings.Repeat("a", maxLine+1)+"\nlast"))
	var lengths []int
	for _, l := range j.lines {
		lengths = append(lengths, len(l.text))
	}
	if diff := cmp.Diff([]int{5, maxLine, 1, 4}, lengths); diff != "" {
		t.Errorf("lengths of lines (-want +got):\n%s", diff)
	}
}

func TestJournalReportsThatItCannotWrite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j := newJournal("lb1", Clock{}, Options{TailLines: 9, LogDir: filepath.Join(file, "logs")})
	j.add(line{from: &Process{name: "sh", program: &os.Process{Pid: 7}}, text: "lost"})
	if err := j.close(); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("close returned %v, want %v", err, syscall.ENOTDIR)
	}
	if got := j.tail(0, nil); len(got) != 1 {
		t.Errorf("kept %q, want the line", got)
	}
}

func TestClockCountsFromItsStart(t *testing.T) {
	t.Parallel()
	before := Monotonic()
	c := NewClock(before)
	if now := c.Now(); now < 0 || now > Monotonic()-before {
		t.Errorf("Now() = %v just after the start", now)
	}
	if c.Start() != before {
		t.Errorf("Start() = %v, want %v", c.Start(), before)
	}
}
