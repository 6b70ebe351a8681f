package daemon

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/config"
)

// instanceWith is an instance of that number with a line more.
func instanceWith(number int, line string) string {
	return fmt.Sprintf("vrrp_instance VI_%d {\ninterface eth0\nvirtual_router_id %d\n"+
		"virtual_ipaddress {\n192.168.1.%d\n}\n%s\n}\n", number, 50+number, number, line)
}

func TestSyncDaemons(t *testing.T) {
	for _, tt := range []struct{ name, text, want, said string }{
		{name: "none", text: instanceWith(1, "")},
		{name: "without an instance", text: globals("lvs_sync_daemon eth1"),
			want: "--mcast-interface eth1 --syncid 0"},
		{name: "the instance's number", text: globals("lvs_sync_daemon eth1 VI_1") +
			instanceWith(1, ""), want: "--mcast-interface eth1 --syncid 51"},
		{name: "all options", text: globals("lvs_sync_daemon eth1 inst VI_1 id 0 maxlen 1400 "+
			"port 9000 ttl 3 group 224.0.0.99") + instanceWith(1, ""),
			want: "--mcast-interface eth1 --syncid 0 --sync-maxlen 1400 --mcast-group 224.0.0.99 " +
				"--mcast-port 9000 --mcast-ttl 3"},
		{name: "of an instance", text: instanceWith(1, "") +
			instanceWith(2, "lvs_sync_daemon_interface eth2"),
			want: "--mcast-interface eth2 --syncid 52"},
		{name: "of instances that differ", text: instanceWith(1, "lvs_sync_daemon_interface eth1") +
			instanceWith(2, "lvs_sync_daemon_interface eth2"),
			want: "--mcast-interface eth1 --syncid 51",
			said: "lvs_sync_daemon_interface eth2: expected one interface for the whole file; " +
				"connections are synchronised over eth1"},
		{name: "of the file and an instance", text: globals("lvs_sync_daemon eth1") +
			instanceWith(1, "lvs_sync_daemon_interface eth1"),
			want: "--mcast-interface eth1 --syncid 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := configOf(t, tt.text)
			var got, want []string
			for _, d := range syncDaemons(cfg) {
				got = append(got, d.String())
			}
			if tt.want != "" {
				master := tt.want
				if !strings.Contains(master, "maxlen") {
					master += " --sync-maxlen 152"
				}
				want = []string{"ipvsadm --start-daemon master " + master,
					"ipvsadm --start-daemon backup " + tt.want}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			said := checkLVS(cfg).String()
			if !strings.Contains(said, tt.said) || (tt.said == "") != (said == "") {
				t.Errorf("said %q, want %q", said, tt.said)
			}
		})
	}
}

// TestPreemptDelay says who waits before it comes back.
func TestPreemptDelay(t *testing.T) {
	sync := globals("lvs_sync_daemon eth1")
	for _, tt := range []struct {
		name, text string
		want       time.Duration
	}{
		{"no synchronisation", instanceWith(1, ""), 0},
		{"its own", instanceWith(1, "preempt_delay 5"), 5 * time.Second},
		{"synchronisation", sync + instanceWith(1, ""), warmUp},
		{"synchronisation and its own", sync + instanceWith(1, "preempt_delay 5"), 5 * time.Second},
		{"an owner", sync + instanceWith(1, "priority 255"), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := groups(configOf(t, tt.text))[0].Members[0].Router.PreemptDelay
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestWithoutServices says that who runs no virtual service leaves IPVS alone.
func TestWithoutServices(t *testing.T) {
	file := write(t, globals("lvs_sync_daemon eth1\nlvs_timeouts udp 30\nlvs_flush")+
		instanceWith(1, "lvs_sync_daemon_interface eth1"))
	cfg, _, err := load(Options{File: file, WithoutServices: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := lvsOf(cfg); !want.empty() {
		t.Errorf("wants %+v, want nothing", want)
	}
}

// TestSyncWithoutVRRP says that who runs no instance synchronises with who does, and that what it
// leaves to the next worker can be read.
func TestSyncWithoutVRRP(t *testing.T) {
	for _, text := range []string{
		globals("lvs_sync_daemon eth1 inst VI_1") + instanceWith(1, ""),
		instanceWith(1, "lvs_sync_daemon_interface eth1"),
	} {
		cfg, _, err := load(Options{File: write(t, text), WithoutVRRP: true})
		if err != nil {
			t.Fatal(err)
		}
		want := syncDaemons(configOf(t, text))
		for what, cfg := range map[string]*config.Config{
			"loaded": cfg, "inherited": configOf(t, cfg.String()),
		} {
			if diff := cmp.Diff(want, syncDaemons(cfg), compareAddrs); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", what, diff)
			}
		}
	}
}

// TestLVSReloadIsReported says what a reload tells of.
func TestLVSReloadIsReported(t *testing.T) {
	before := configOf(t, globals("lvs_sync_daemon eth1\nlvs_timeouts udp 30"))
	after := configOf(t, globals("lvs_sync_daemon eth1 id 7\nlvs_timeouts tcp 60"))
	var got []string
	for _, s := range compareOthers(before, after) {
		got = append(got, s.String())
	}
	want := []string{"change connections: sync daemon backup, sync daemon master, " +
		"timeout TCP more, timeout UDP less"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := compareOthers(before, before); len(got) > 0 {
		t.Errorf("the same: got %v, want nothing", got)
	}
	if got := compareOthers(&config.Config{}, &config.Config{}); len(got) > 0 {
		t.Errorf("nothing: got %v, want nothing", got)
	}
}
