package pool_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/pool"
)

// checked reads a virtual server whose real server has those checks.
func checked(t *testing.T, checks string) config.VirtualServer {
	t.Helper()
	cfg, ds := config.Parse("test.conf", []byte("virtual_server 192.168.1.1 80 {\nprotocol TCP\n"+
		"connect_timeout 3\nreal_server 192.168.2.11 80 {\n"+checks+"\n}\n}\n"))
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg.VirtualServers[0]
}

// becomes is what a block of a check becomes.
type becomes struct {
	name, text string
	want       check.Checker
	timeout    time.Duration
}

func regex(t *testing.T, text string, o check.RegexOptions) *check.Regex {
	t.Helper()
	r, err := check.NewRegex(text, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCheckers(t *testing.T) {
	const limit = 3 * time.Second
	target, bind := server(0), netip.MustParseAddrPort("192.168.2.2:0")
	port := func(n uint16) netip.AddrPort { return netip.AddrPortFrom(target.Addr(), n) }
	way := &check.Dialer{Device: "eth1", Mark: 7}
	ok := []check.StatusRange{{First: 200, Last: 299}}
	pool1 := x509.NewCertPool()
	m := pool.Means{TLS: check.TLS{CA: pool1}, Helo: "lb.example"}
	tls := func(path string, tls check.TLS, more ...check.URL) check.HTTP {
		tls.CA = pool1
		return check.HTTP{Target: target, Timeout: limit, Version: check.HTTP10, TLS: &tls,
			URLs: append([]check.URL{{Path: path, Status: ok}}, more...)}
	}
	for _, tt := range []becomes{
		{"TLS", "SSL_GET {\nurl {\npath /\n}\n}", tls("/", check.TLS{}), limit},
		{"TLS with a name", "SSL_GET {\nenable_sni\nsni_name x.example\ntls_compliant\n" +
			"url {\npath /\n}\n}", tls("/", check.TLS{SNI: true, Name: "x.example",
			Compliant: true}), limit},
		{"TLS that has to end well for a page", "SSL_GET {\nurl {\npath /a\n}\nurl {\npath /b\n}\n" +
			"url {\npath /c\ntls_compliant\n}\n}", check.All{
			tls("/a", check.TLS{}, check.URL{Path: "/b", Status: ok}),
			tls("/c", check.TLS{Compliant: true})}, 3 * limit},
		{"regular expression", "HTTP_GET {\nurl {\npath /\nregex \"a.c\"\nregex_no_match\n" +
			"regex_options caseless dotall\nregex_min_offset 2\nregex_max_offset 9\n}\n}",
			check.HTTP{Target: target, Timeout: limit, Version: check.HTTP10,
				URLs: []check.URL{{Path: "/", Status: ok, Regex: regex(t, "a.c",
					check.RegexOptions{Names: []string{"caseless", "dotall"}, NoMatch: true,
						MinOffset: 2, MaxOffset: 9})}}}, limit},
		{"interface and mark", "TCP_CHECK {\nbindto 192.168.2.2\nbind_if eth1\nfwmark 7\n}",
			check.TCP{Target: target, Bind: bind, Dialer: way, Timeout: limit}, limit},
		{"mark alone", "TCP_CHECK {\nfwmark 7\n}",
			check.TCP{Target: target, Dialer: &check.Dialer{Mark: 7}, Timeout: limit}, limit},
		{"mail", "SMTP_CHECK {\nconnect_port 25\nbind_if eth1\nfwmark 7\n}",
			check.SMTP{Target: port(25), Dialer: way, Timeout: limit, Helo: "lb.example"}, limit},
		{"mail of hosts", "SMTP_CHECK {\nhelo_name me\nhost {\n}\nhost {\nconnect_ip 192.168.2.12\n" +
			"connect_port 587\nbindto 192.168.2.2\nbind_if eth1\nfwmark 7\nconnect_timeout 9\n}\n}",
			check.All{
				check.SMTP{Target: port(25), Timeout: limit, Helo: "me"},
				check.SMTP{Target: netip.MustParseAddrPort("192.168.2.12:587"), Bind: bind,
					Dialer: way, Timeout: 9 * time.Second, Helo: "me"},
			}, limit + 9*time.Second},
		{"names", "DNS_CHECK {\ntype MX\nname example.com\nbind_if eth1\nfwmark 7\n}",
			check.DNS{Target: target, Dialer: way, Timeout: limit, Type: dns.TypeMX,
				Name: "example.com"}, limit},
		{"names, as it is without", "DNS_CHECK {\n}",
			check.DNS{Target: target, Timeout: limit, Type: dns.TypeSOA, Name: "."}, limit},
		{"datagram", "UDP_CHECK {\n}", check.UDP{Target: target, Timeout: limit}, limit},
		{"datagram and answer", "UDP_CHECK {\npayload 01ff\nrequire_reply 0xff\n" +
			"min_reply_length 2\nmax_reply_length 9\nbind_if eth1\nfwmark 7\n}",
			check.UDP{Target: target, Dialer: way, Timeout: limit, Payload: []byte{1, 255},
				Reply: &check.UDPReply{Min: 2, Max: 9, Start: check.BytePattern{
					Bytes: []byte{0, 255}, Mask: []byte{0xf0, 255}}}}, limit},
		{"echo", "PING_CHECK {\nbindto 192.168.2.2\nbind_if eth1\nfwmark 7\n}",
			check.Ping{Target: target.Addr(), Bind: bind.Addr(), Dialer: way, Timeout: limit},
			limit},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.judge(t, checked(t, tt.text), m) })
	}
}

func (tt becomes) judge(t *testing.T, vs config.VirtualServer, m pool.Means) {
	t.Helper()
	tasks, index, err := pool.Tasks([]config.VirtualServer{vs}, m)
	if err != nil || len(tasks) != 1 {
		t.Fatalf("%d tasks and error %v, want one and none", len(tasks), err)
	}
	compare := cmp.Options{addrPorts, cmpopts.EquateComparable(netip.Addr{}),
		cmp.Comparer(func(a, b *x509.CertPool) bool { return a == b })}
	if diff := cmp.Diff(tt.want, spelledOut(tasks, index)[0].Checker, compare); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := tt.timeout + time.Second; tasks[0].Timeout != want {
		t.Errorf("timeout %s, want %s", tasks[0].Timeout, want)
	}
	if err := check.NewRunner(func(check.Report) {}).Set(tasks); err != nil {
		t.Errorf("a Runner refuses it: %v", err)
	}
}

// scripted is a script that is never run.
type scripted string

func (scripted) Run(context.Context, time.Duration) check.ScriptExit { return check.ScriptExit{} }

// stated is a source that is never asked.
type stated string

func (stated) State() (bool, check.Weight, string) { return true, check.Weight{}, "" }

// TestCheckersByMeans are those that need what others have.
func TestCheckersByMeans(t *testing.T) {
	m := pool.Means{
		Script: func(m *config.MiscCheck) (check.Script, time.Duration) {
			return scripted(strings.Join(m.Script.Args, " ")), 2 * time.Second
		},
		Source: func(c *config.Check) check.Source { return stated(c.BFD + c.Kind.String()) },
	}
	misc := config.CheckSettings{Kind: config.CheckMisc, Misc: &config.MiscCheck{Dynamic: true,
		Script: &config.Script{Args: []string{"/bin/x", "y"}}, Timeout: 4 * time.Second}}
	file := config.CheckSettings{Kind: config.CheckFile, File: &config.FileCheck{Tracker: "f"}}
	session := config.CheckSettings{Kind: config.CheckBFD, BFD: "b"}
	for _, tt := range []struct {
		check config.CheckSettings
		id    string
		becomes
	}{
		{misc, "MISC_CHECK /bin/x y", becomes{timeout: 6 * time.Second,
			want: check.Misc{Script: scripted("/bin/x y"), Timeout: 4 * time.Second, Dynamic: true}}},
		{file, "FILE_CHECK f", becomes{timeout: 3 * time.Second,
			want: check.Known{Source: stated("FILE_CHECK"), Reason: check.File}}},
		{session, "BFD_CHECK b", becomes{timeout: 3 * time.Second,
			want: check.Known{Source: stated("bBFD_CHECK"), Reason: check.Session}}},
	} {
		t.Run(tt.check.Kind.String(), func(t *testing.T) {
			vs, c := web(1), tt.check
			c.ConnectTimeout, c.DelayLoop = 3*time.Second, time.Minute
			c.Retry, c.Warmup = 3, time.Minute
			vs.RealServers[0].Checks = []config.Check{{Target: server(0), CheckSettings: &c}}
			tt.judge(t, vs, m)
			tasks, index, err := pool.Tasks([]config.VirtualServer{vs}, m)
			if err != nil {
				t.Fatal(err)
			}
			if got := index.Text(tasks[0].ID); !strings.HasSuffix(got, ": "+tt.id) {
				t.Errorf("check %q, want it to end in %q", got, tt.id)
			}
			waits := tasks[0].Params.Retries > 0 && tasks[0].Warmup > 0
			if want := c.Kind == config.CheckMisc; waits != want {
				t.Errorf("has retries and a warmup: %t, want %t", waits, want)
			}
			if _, _, err := pool.Tasks([]config.VirtualServer{vs}, pool.Means{}); err == nil {
				t.Error("without means: expected an error")
			}
		})
	}
}

func TestReportAll(t *testing.T) {
	for _, tt := range []struct{ all, own, want bool }{
		{false, false, false}, {true, false, true}, {false, true, true},
	} {
		vs := web(1)
		vs.RealServers[0].Checks[0].LogAllFailures = tt.own
		tasks, _, err := pool.Tasks([]config.VirtualServer{vs}, pool.Means{ReportAll: tt.all})
		if err != nil || tasks[0].ReportAll != tt.want {
			t.Errorf("%+v: got %t, error %v", tt, tasks[0].ReportAll, err)
		}
	}
}

// TestFaults has several checks that cannot be carried out in one real server.
func TestFaults(t *testing.T) {
	vs := checked(t, `HTTP_GET {
url {
path /a
regex "(?<=x)"
}
}
TCP_CHECK {
}
HTTP_GET {
url {
path /b
regex x
regex_options extended
}
}
SMTP_CHECK {
host {
bindto ::1
}
}
UDP_CHECK {
require_reply
min_reply_length 9
max_reply_length 8
}`)
	var got []string
	for _, f := range pool.Faults([]config.VirtualServer{vs}, pool.Means{}) {
		got = append(got, fmt.Sprintf("%d: %s", f.Pos.Line, f.Err))
	}
	want := []string{
		"8: HTTP_GET: url /a: compile regex \"(?<=x)\": error parsing regexp: invalid " +
			"named capture: `(?<=x)`",
		`16: HTTP_GET: url /b: compile regex "x": option extended is not supported`,
		`20: SMTP_CHECK: host: bindto "::1": expected the family of 192.168.2.11`,
		`25: UDP_CHECK: min_reply_length 9: expected at most max_reply_length, 8`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, _, err := pool.Tasks([]config.VirtualServer{vs}, pool.Means{}); err == nil {
		t.Error("tasks: expected an error")
	}
}

func TestKnown(t *testing.T) {
	vs := web(1, 1)
	file := &config.CheckSettings{Kind: config.CheckFile, File: &config.FileCheck{Tracker: "f"}}
	session := &config.CheckSettings{Kind: config.CheckBFD, BFD: "b"}
	vs.RealServers[0].Checks = []config.Check{{CheckSettings: file}, {CheckSettings: session}}
	vs.RealServers[1].Checks = []config.Check{{CheckSettings: file}}
	files, sessions := pool.Known([]config.VirtualServer{vs})
	const first, second = "TCP 192.168.1.1:80, 192.168.2.11:80: ",
		"TCP 192.168.1.1:80, 192.168.2.12:80: "
	want := [2]map[string][]string{
		{"f": {first + "FILE_CHECK f", second + "FILE_CHECK f"}},
		{"b": {first + "BFD_CHECK b"}},
	}
	told := func(*config.Check) check.Source { return stated("") }
	_, index, err := pool.Tasks([]config.VirtualServer{vs}, pool.Means{Source: told})
	if err != nil {
		t.Fatal(err)
	}
	got := [2]map[string][]string{files, sessions}
	for _, users := range got {
		for _, ids := range users {
			for i, id := range ids {
				ids[i] = index.Text(id)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWeights has checks say weights, and looks at destinations and quorum.
func TestWeights(t *testing.T) {
	vs := web(10, 20)
	vs.Quorum = 25
	vs.RealServers[0].Checks = append(vs.RealServers[0].Checks, httpCheck())
	tasks, index, err := pool.Tasks([]config.VirtualServer{vs}, pool.Means{})
	if err != nil {
		t.Fatal(err)
	}
	exactly := func(n int32) check.Weight { return check.Weight{Kind: check.Exactly, Value: n} }
	added := func(n int32) check.Weight { return check.Weight{Kind: check.Added, Value: n} }
	for _, tt := range []struct {
		name  string
		said  map[string]check.Weight
		want  string
		other int
		kept  bool
	}{
		{"nothing", nil, "11=10 12=20", 0, true},
		{"another", map[string]check.Weight{tasks[0].ID: exactly(4)}, "11=4 12=20", 1, false},
		{"the same", map[string]check.Weight{tasks[0].ID: exactly(10)}, "11=10 12=20", 0, true},
		{"two checks", map[string]check.Weight{tasks[0].ID: exactly(4), tasks[1].ID: added(3)},
			"11=7 12=20", 1, true},
		{"none left", map[string]check.Weight{tasks[2].ID: added(-90)}, "11=10 12=0", 1, false},
		{"of no check", map[string]check.Weight{"x": exactly(4)}, "11=10 12=20", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			weights := index.WeightsOf(pool.NameOf(&vs), tt.said)
			if len(weights) != tt.other {
				t.Errorf("weights %v, want %d", weights, tt.other)
			}
			ds, quorum := pool.Desired(&vs, &pool.State{
				Health: health("up up"), Weights: weights, Quorum: pool.Kept})
			if got := show(ds); got != tt.want || quorum == pool.Kept != tt.kept {
				t.Errorf("%s, quorum %s; want %s, kept %t", got, quorum, tt.want, tt.kept)
			}
		})
	}
}
