package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
)

// works is a director at work in memory. Reloads are asked for by HUP's channel or as questions.
type works struct {
	t        *testing.T
	director *director
	host     *simHost
	table    *ipvstest.Memory
	log      *console
	hangup   chan struct{}
	stop     func() error
}

// work starts a director with the configuration and lets it become master.
func work(t *testing.T, text string) *works {
	t.Helper()
	w := &works{t: t, host: newSimHost(), table: &ipvstest.Memory{}, log: &console{},
		hangup: make(chan struct{}, 1)}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.director = &director{
		options: Options{File: write(t, text), Reload: w.hangup, Diagnostics: w.log}, log: log,
		config: &config.Config{}, links: w.host.link, table: w.table,
		questions: make(chan question),
	}
	cfg, _, err := load(w.director.options)
	if err != nil {
		t.Fatal(err)
	}
	first, err := w.director.prepare(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.director.run(ctx, first) }()
	w.stop = func() error {
		cancel()
		return <-ended
	}
	pass(t, 20*time.Second+300*time.Millisecond)
	return w
}

// ask has the director reload the text, unless that is empty, and returns what came of it.
func (w *works) ask(text string) Outcome {
	w.t.Helper()
	if text != "" {
		w.write(text)
	}
	q := question{Question: Question{Ask: DoReload}, answer: make(chan Outcome, 1)}
	w.director.questions <- q
	out := <-q.answer
	synctest.Wait()
	return out
}

func (w *works) write(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.director.options.File, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// end stops the director and looks for what it has left.
func (w *works) end() {
	w.t.Helper()
	if err := w.stop(); err != nil {
		w.t.Errorf("run: %v", err)
	}
	if left := w.host.vips() + w.table.String(); left != "" {
		w.t.Errorf("left behind: %s", left)
	}
}

const allVIPs = "eth0 192.168.1.1/24, eth1 192.168.2.1/24, " +
	"eth2 192.168.3.1/24, eth2 192.168.3.2/24, eth2 192.168.3.9/24"

// TestReload makes each kind of change and looks at all virtual routers: who is silent for how
// long, who opens another socket, who resigns, and which VIPs there are ten seconds later.
func TestReload(t *testing.T) {
	// The group is 51 and 52, VI_A is 53, VI_B is 54.
	all := []uint8{51, 52, 53, 54}
	const gone = `vrrp_instance VI_B {
    interface eth2
    virtual_router_id 54
    virtual_ipaddress { 192.168.3.9/24 }
}
`
	for _, tt := range []struct {
		name string
		edit []string
		// steady never are silent nor open a socket; leaving resign.
		steady, leaving []uint8
		vips            string
	}{
		{"nothing", nil, all, nil, allVIPs},
		{"priority", []string{"virtual_router_id 53", "virtual_router_id 53\npriority 9"},
			all, nil, allVIPs},
		{"a VIP less", []string{"        192.168.3.2/24\n", ""}, all, nil,
			strings.Replace(allVIPs, "eth2 192.168.3.2/24, ", "", 1)},
		{"a VIP more", []string{"192.168.3.9/24", "192.168.3.9/24\n192.168.3.99/24\n"}, all, nil,
			allVIPs + ", eth2 192.168.3.99/24"},
		{"a member's VIP", []string{"192.168.2.1/24", "192.168.2.7/24"}, all, nil,
			strings.Replace(allVIPs, "192.168.2.1", "192.168.2.7", 1)},
		{"interval", []string{"virtual_router_id 53", "virtual_router_id 53\nadvert_int 2"},
			[]uint8{51, 52, 54}, nil, allVIPs},
		{"virtual router", []string{"virtual_router_id 53", "virtual_router_id 59"},
			[]uint8{51, 52, 54}, []uint8{53}, allVIPs},
		{"interface", []string{"interface eth1", "interface eth7"},
			[]uint8{53, 54}, []uint8{51, 52}, strings.Replace(allVIPs,
				"eth1 192.168.2.1/24, eth2 192.168.3.1/24, eth2 192.168.3.2/24, "+
					"eth2 192.168.3.9/24", "eth2 192.168.3.1/24, eth2 192.168.3.2/24, "+
					"eth2 192.168.3.9/24, eth7 192.168.2.1/24", 1)},
		{"instance gone", []string{gone, ""}, []uint8{51, 52, 53}, []uint8{54},
			strings.Replace(allVIPs, ", eth2 192.168.3.9/24", "", 1)},
		{"instance new", []string{gone, gone + edited(t, gone, "VI_B", "VI_C", "54", "55",
			"192.168.3.9", "192.168.3.11")}, all, nil,
			strings.Replace(allVIPs, "eth2 192.168.3.1/24, ",
				"eth2 192.168.3.1/24, eth2 192.168.3.11/24, ", 1)},
		{"member becomes single", []string{"VI_OUT VI_IN", "VI_OUT"}, []uint8{53, 54},
			[]uint8{51, 52}, allVIPs},
		{"VIP moves", []string{"        192.168.3.2/24\n", "", "192.168.3.9/24",
			"192.168.3.9/24\n192.168.3.2/24\n"}, []uint8{51, 52, 54}, []uint8{53}, allVIPs},
		{"first virtual server", []string{gone, gone + oneServer}, all, nil, allVIPs},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := work(t, pairOfGroups)
				defer w.end()
				begin := time.Now()
				if out := w.ask(edited(t, pairOfGroups, tt.edit...)); !out.Applied {
					t.Fatalf("reload: %+v, want it to be applied", out)
				}
				pass(t, 10*time.Second)
				for _, r := range tt.steady {
					if gap := w.host.gap(r, begin); gap > time.Second {
						t.Errorf("router %d: silent for %s, want no advert missed", r, gap)
					}
					if n, _ := w.host.sockets(r); n != 1 || w.host.resigned(r, begin) {
						t.Errorf("router %d: opened %d sockets, resigned %t, want one, and no "+
							"resignation", r, n, w.host.resigned(r, begin))
					}
				}
				for _, r := range all {
					if _, most := w.host.sockets(r); most > 1 {
						t.Errorf("router %d: %d at once, want the old one to leave first", r, most)
					}
				}
				for _, r := range tt.leaving {
					if !w.host.resigned(r, begin) {
						t.Errorf("router %d: want it to resign", r)
					}
				}
				if diff := cmp.Diff(tt.vips, w.host.vips()); diff != "" {
					t.Errorf("VIPs (-want +got)\n%s", diff)
				}
			})
		})
	}
}

// TestReloadOfServices adds the first virtual server, changes it, and removes the last.
func TestReloadOfServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := work(t, oneInstance)
		defer w.end()
		for _, step := range []struct{ name, text, want string }{
			{"first", oneInstance + oneServer, "-A -t 192.168.1.1:80 -s wlc\n" +
				"-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1\n"},
			{"weight", oneInstance + strings.Replace(oneServer, "80 { }", "80 { weight 5\n}", 1),
				"-A -t 192.168.1.1:80 -s wlc\n-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 5\n"},
			{"none", oneInstance, ""},
			{"first again", oneInstance + oneServer, "-A -t 192.168.1.1:80 -s wlc\n" +
				"-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1\n"},
		} {
			if out := w.ask(step.text); !out.Applied || len(out.Steps) != 1 {
				t.Errorf("%s: %+v, want one step", step.name, out)
			}
			if diff := cmp.Diff(step.want, w.table.String()); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", step.name, diff)
			}
		}
	})
}

// TestReloadRefused gives the director what it cannot run. It stays what it was, and says why.
func TestReloadRefused(t *testing.T) {
	replace := func(with func(t *testing.T, file string)) func(*testing.T, string) {
		return func(t *testing.T, file string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			with(t, file)
		}
	}
	text := func(text string) func(*testing.T, string) {
		return func(t *testing.T, file string) {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name  string
		write func(t *testing.T, file string)
		said  string // in the diagnostics, or in the error
	}{
		{"half written", text(pairOfGroups[:len(pairOfGroups)-30]), "error: "},
		{"unknown keyword", text(pairOfGroups + "instanze x\n"), "did you mean"},
		{"missing", replace(func(*testing.T, string) {}), "no configuration"},
		{"directory", replace(func(t *testing.T, file string) {
			must(t, os.Mkdir(file, 0o755))
		}), "directory"},
		{"pipe", replace(func(t *testing.T, file string) {
			must(t, unix.Mkfifo(file, 0o644))
		}), "expected a file"},
		{"NUL bytes", text(pairOfGroups + "\x00\x00"), "error: "},
		{"other bytes", text(string(bytes.Repeat([]byte{0xff, 0xfe, '{'}, 100))), "error: "},
		{"two routers of one number", text(edited(t, pairOfGroups, "_id 54", "_id 53")), "error: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := work(t, pairOfGroups+oneServer)
				defer w.end()
				table, begin := w.table.String(), time.Now()
				tt.write(t, w.director.options.File)
				out := w.ask("")
				if out.Applied || !out.Invalid || !strings.Contains(out.Diagnostics+out.Error, tt.said) {
					t.Errorf("reload: %+v, want it refused with %q", out, tt.said)
				}
				if !w.log.has("reload refused") {
					t.Error("log: want a line of the refusal")
				}
				pass(t, 5*time.Second)
				if w.host.vips() != allVIPs || w.table.String() != table {
					t.Errorf("after it: VIPs %s, services\n%s", w.host.vips(), w.table)
				}
				for r := range uint8(4) {
					if gap := w.host.gap(51+r, begin); gap > time.Second {
						t.Errorf("router %d: silent for %s, want no advert missed", 51+r, gap)
					}
				}
			})
		})
	}
}

// TestReloadsAreSerial asks for reloads while one is under way, which waits for routers to leave:
// the last file wins, and none is lost.
func TestReloadsAreSerial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := work(t, pairOfGroups)
		defer w.end()
		priority := func(p string) string {
			return edited(t, pairOfGroups, "virtual_router_id 53", "virtual_router_id 53\npriority "+p)
		}
		w.write(edited(t, pairOfGroups, "virtual_router_id 53", "virtual_router_id 59"))
		w.hangup <- struct{}{}
		synctest.Wait() // it is under way: router 53 leaves
		if !w.host.resigned(53, time.Now().Add(-time.Second)) {
			t.Error("first reload: want it to be under way")
		}
		w.write(priority("7"))
		w.hangup <- struct{}{}
		w.write(priority("8"))
		out := w.ask("")
		pass(t, 10*time.Second)
		if !out.Applied || w.host.vips() != allVIPs {
			t.Errorf("last reload: %+v, VIPs %s", out, w.host.vips())
		}
		w.host.mu.Lock()
		last := w.host.adverts[53][len(w.host.adverts[53])-1]
		w.host.mu.Unlock()
		if last.priority != 8 {
			t.Errorf("priority after all: got %d, want that of the last file, 8", last.priority)
		}
	})
}

// TestStopDuringReload ends the director while a reload waits for routers to leave.
func TestStopDuringReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := work(t, pairOfGroups)
		w.write(edited(t, pairOfGroups, "virtual_router_id 53", "virtual_router_id 59"))
		w.hangup <- struct{}{}
		synctest.Wait()
		w.end()
	})
}

// TestReloadOfEverything reloads files that use all of the language: nothing has changed in them.
func TestReloadOfEverything(t *testing.T) {
	files, err := filepath.Glob("config/testdata/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatalf("find configurations: %v, %d", err, len(files))
	}
	for _, file := range files {
		before, _ := config.Load(file, config.Options{})
		after, _ := config.Load(file, config.Options{})
		if before == nil || after == nil {
			continue
		}
		if steps := compare(before, after).steps(); len(steps) > 0 {
			t.Errorf("%s: got %v, want nothing to do", file, steps)
		}
	}
}
