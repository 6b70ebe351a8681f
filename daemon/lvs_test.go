package daemon

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/internal/bubbletest"
)

const (
	synced = "master eth0 0\nbackup eth0 0\n"
	tuned  = "sync_refresh_period 10\nsync_retries 1\nsync_threshold 0 0\n"
)

var compareAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestLVSRunsBothDaemons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLVSBench(t)
		b.begin(globals("lvs_sync_daemon eth0\nlvs_timeouts tcp 1200 udp 30"))
		timeouts := "tcp 20m0s, tcpfin 2m0s, udp 30s\n"
		b.expect("begun", synced+timeouts+tuned, "start master", "start backup")
		want := lvsHeld{Tuned: true, Index: 7, Source: netip.MustParseAddr("192.168.1.2"),
			Before:  ipvs.Timeouts{TCP: 15 * time.Minute, UDP: 5 * time.Minute},
			Daemons: lvsOf(configOf(t, globals("lvs_sync_daemon eth0"))).Sync}
		if diff := cmp.Diff(want, b.noted, compareAddrs); diff != "" {
			t.Errorf("noted: (-want +got)\n%s", diff)
		}
		bubbletest.Pass(time.Minute)
		b.expect("a minute later", synced+timeouts+tuned)
		b.end()
		b.expect("stopped", "", "stop master", "stop backup")
		if strings.Contains(b.log.String(), "repaired") {
			t.Errorf("log: expected no repair in it:\n%s", b.log.String())
		}
	})
}

// TestLVSRepairs has somebody else change what is wanted: it is back after lvsRhythm, and counted.
func TestLVSRepairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLVSBench(t)
		b.begin(globals("lvs_sync_daemon eth0\nlvs_timeouts tcp 1200"))
		defer b.end()
		want := b.has()
		b.expect("begun", want, "start master", "start backup")
		memory := &b.table.Memory
		for _, drift := range []struct {
			name string
			do   func() error
			did  []string
		}{
			{"master stopped", func() error {
				return memory.StopSync(t.Context(), ipvs.SyncMaster)
			}, []string{"start master"}},
			{"backup elsewhere", func() error {
				if err := memory.StopSync(t.Context(), ipvs.SyncBackup); err != nil {
					return err
				}
				return memory.StartSync(t.Context(),
					ipvs.SyncDaemon{Role: ipvs.SyncBackup, Interface: "eth1"})
			}, []string{"stop backup", "start backup"}},
			{"timeout", func() error {
				return b.table.SetTimeouts(t.Context(), ipvs.Timeouts{TCP: time.Minute})
			}, nil},
			{"setting", func() error { return b.host.SetIPVSSetting("sync_retries", "0") }, nil},
		} {
			if err := drift.do(); err != nil {
				t.Fatal(err)
			}
			bubbletest.Pass(lvsRhythm)
			b.expect(drift.name, want, drift.did...)
		}
		if got := strings.Count(b.log.String(), "lvs repaired"); got != 4 ||
			!strings.Contains(b.log.String(), "repairs=4") {
			t.Errorf("log: got %d repairs, want 4 in\n%s", got, b.log.String())
		}
	})
}

// TestLVSFollowsTheInterface has it come late, come anew, lose its address, and be another one: the
// daemons, which know an interface by its number, are begun again.
func TestLVSFollowsTheInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLVSBench(t)
		b.host.link("eth0", netif.State{})
		b.begin(globals("lvs_sync_daemon eth0"))
		defer b.end()
		b.expect("not there", tuned)
		begin := []string{"start master", "start backup"}
		again := []string{"stop master", "start master", "stop backup", "start backup"}
		for _, step := range []struct {
			name string
			link netif.State
			want string
			did  []string
		}{
			{"there", linkState(7, "192.168.1.2/24"), synced + tuned, begin},
			{"with a VIP", linkState(7, "192.168.1.2/24", "192.168.1.1/32"), synced + tuned, nil},
			{"another order", linkState(7, "192.168.1.1/32", "192.168.1.2/24"), synced + tuned, nil},
			{"another address", linkState(7, "192.168.1.9/24"), synced + tuned, again},
			{"gone", netif.State{}, tuned, []string{"stop master", "stop backup"}},
			{"back", linkState(8, "192.168.1.9/24"), synced + tuned, begin},
			{"made anew unseen", linkState(9, "192.168.1.9/24"), synced + tuned, again},
		} {
			b.host.link("eth0", step.link)
			b.expect(step.name, step.want, step.did...)
		}
	})
}

// TestLVSReloads changes what is wanted.
func TestLVSReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLVSBench(t)
		b.begin(globals("lvs_sync_daemon eth0\nlvs_timeouts tcp 1200 udp 30"))
		defer b.end()
		b.table.did = nil
		again := []string{"stop master", "start master", "stop backup", "start backup"}
		const nine = "master eth0 9\nbackup eth0 9\n"
		for _, step := range []struct {
			name, text, want string
			did              []string
		}{
			{"other id", "lvs_sync_daemon eth0 id 9", nine + tuned, again},
			{"other length", "lvs_sync_daemon eth0 id 9 maxlen 1400", nine + tuned, again},
			{"any length", "lvs_sync_daemon eth0 id 9", nine + tuned, again},
			{"other timeout", "lvs_sync_daemon eth0 id 9\nlvs_timeouts tcpfin 60",
				nine + "tcp 15m0s, tcpfin 1m0s, udp 5m0s\n" + tuned, nil},
			{"nothing", "", "", []string{"stop master", "stop backup"}},
		} {
			b.set(globals(step.text))
			b.expect(step.name, step.want, step.did...)
		}
		if strings.Contains(b.log.String(), "repaired") {
			t.Errorf("log: expected no repair in it:\n%s", b.log.String())
		}
	})
}

// TestLVSLeavesSettings says that what an operator has chosen stays, and that what this kernel does
// not have is no hindrance.
func TestLVSLeavesSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLVSBench(t)
		b.host.settings["sync_threshold"] = "2 10"
		delete(b.host.settings, "sync_retries")
		b.begin(globals("lvs_sync_daemon eth0"))
		b.expect("begun", synced+"sync_refresh_period 10\nsync_threshold 2 10\n",
			"start master", "start backup")
		b.end()
		b.expect("stopped", "sync_threshold 2 10\n", "stop master", "stop backup")
	})
}

// TestLVSFindsDaemons says that those of somebody else are left alone by who wants none, and give
// way to who does.
func TestLVSFindsDaemons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLVSBench(t)
		other := ipvs.SyncDaemon{Role: ipvs.SyncMaster, Interface: "eth0", ID: 3}
		if err := b.table.Memory.StartSync(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		b.begin(globals("lvs_timeouts udp 30"))
		defer b.end()
		b.expect("none wanted", "master eth0 3\ntcp 15m0s, tcpfin 2m0s, udp 30s\n")
		b.set(globals("lvs_sync_daemon eth0"))
		b.expect("wanted", synced+tuned, "stop master", "start master", "start backup")
	})
}

// TestLVSStopsItsOwn says that only those are stopped that were started.
func TestLVSStopsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLVSBench(t)
		both := lvsOf(configOf(t, globals("lvs_sync_daemon eth0"))).Sync
		for _, d := range both {
			if err := b.table.Memory.StartSync(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		b.lvs.held = lvsHeld{Daemons: both[:1]}
		b.begin("")
		b.expect("none wanted", "backup eth0 0\n", "stop master")
		b.end()
		b.expect("stopped", "backup eth0 0\n")
	})
}

// TestLVSAdopts has one go on for a dead one: its daemons stay, unless their interface is another
// one now; and at the end all is as it was before the first.
func TestLVSAdopts(t *testing.T) {
	for _, tt := range []struct {
		name string
		now  netif.State
		did  []string
	}{
		{"the same interface", linkState(7, "192.168.1.2/24"), nil},
		{"made anew", linkState(8, "192.168.1.2/24"),
			[]string{"stop master", "start master", "stop backup", "start backup"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const text = "lvs_sync_daemon eth0\nlvs_timeouts tcp 1200"
				b := newLVSBench(t)
				b.lvs.keep = true // as one that is killed
				b.begin(globals(text))
				want := b.has()
				b.end()
				b.expect("killed", want, "start master", "start backup")
				b.host.link("eth0", tt.now)

				b.lvs = newLVS(b.table, b.host, b.lvs.log)
				b.lvs.held = b.noted
				b.begin(globals(text))
				b.expect("adopted", want, tt.did...)
				b.end()
				b.expect("stopped", "", "stop master", "stop backup")
			})
		})
	}
}

// TestLVSFlushes says when the table is emptied of everybody's services.
func TestLVSFlushes(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		keep, gone bool
	}{
		{"not asked for", "lvs_timeouts udp 30", false, false},
		{"of the file only", "lvs_timeouts udp 30\nlvs_flush_on_stop VS", false, false},
		{"all", "lvs_flush_on_stop", false, true},
		{"all, but kept", "lvs_flush_on_stop", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newLVSBench(t)
				foreign := ipvs.Services{{
					Key: ipvs.Key{Protocol: ipvs.TCP, Addr: netip.MustParseAddrPort("10.0.0.1:80")},
				}}
				foreign[0].Scheduler = "rr"
				if err := b.table.Apply(t.Context(), ipvs.Diff(nil, foreign)); err != nil {
					t.Fatal(err)
				}
				b.lvs.keep = tt.keep
				b.begin(globals(tt.text))
				b.end()
				if gone := b.table.String() == ""; gone != tt.gone {
					t.Errorf("table: gone %t, want %t", gone, tt.gone)
				}
			})
		})
	}
}

// TestLVSCleans takes off what one that was killed has left, and nothing else.
func TestLVSCleans(t *testing.T) {
	const text = "lvs_sync_daemon eth0\nlvs_timeouts tcp 1200"
	for _, tt := range []struct {
		name, configured, left string
		did                    []string
	}{
		{"its own", text, "", []string{"stop master", "stop backup"}},
		{"of another file", "lvs_sync_daemon eth0 id 4\nlvs_timeouts tcp 60",
			synced + "tcp 20m0s, tcpfin 2m0s, udp 5m0s\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newLVSBench(t)
				b.lvs.keep = true // as one that is killed
				b.begin(globals(text))
				b.end()
				b.table.did = nil
				want := lvsOf(configOf(t, globals(tt.configured)))
				for what, err := range map[string]error{
					"daemons":  cleanSync(t.Context(), b.table, want.Sync),
					"timeouts": cleanTimeouts(t.Context(), b.table, want.Timeouts),
					"settings": cleanSettings(b.host),
				} {
					if err != nil {
						t.Errorf("clean %s: %v", what, err)
					}
				}
				b.expect("cleaned", tt.left, tt.did...)
			})
		})
	}
}
