package daemon

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/internal/bubbletest"
)

const guarded = "lvs_forward_guard"

// served is a virtual server with real servers at ports of 192.168.2.11, and lines more.
func served(head, lines string, ports ...int) string {
	text := "virtual_server " + head + " {\nlb_algo rr\n" + lines + "\n"
	for _, p := range ports {
		text += fmt.Sprintf("real_server 192.168.2.11 %d { }\n", p)
	}
	return text + "}\n"
}

// TestGuardOf says whose replies are guarded.
func TestGuardOf(t *testing.T) {
	nat := served("192.168.1.1 80", "lb_kind NAT\nprotocol TCP", 80, 81)
	for _, tt := range []struct{ name, text, want string }{
		{"not asked for", nat, ""},
		{"no virtual server", globals(guarded), ""},
		{"NAT", globals(guarded) + nat, "6/192.168.2.11:80 6/192.168.2.11:81"},
		{"two services of one real server", globals(guarded) + nat +
			served("192.168.1.1 8080", "lb_kind NAT\nprotocol TCP", 80),
			"6/192.168.2.11:80 6/192.168.2.11:81"},
		{"DR", globals(guarded) + served("192.168.1.1 80", "lb_kind DR\nprotocol TCP", 80), ""},
		{"UDP", globals(guarded) + served("192.168.1.1 53", "lb_kind NAT\nprotocol UDP", 53),
			"17/192.168.2.11:53"},
		{"a mark", globals(guarded) + served("fwmark 1", "lb_kind NAT\nprotocol TCP", 80),
			"6/192.168.2.11:80 17/192.168.2.11:80 132/192.168.2.11:80"},
		{"sorry server", globals(guarded) + served("192.168.1.1 80",
			"lb_kind NAT\nprotocol TCP\nsorry_server 192.168.2.99 80", 80),
			"6/192.168.2.11:80 6/192.168.2.99:80"},
	} {
		var all []string
		for _, r := range guardOf(configOf(t, tt.text)) {
			all = append(all, r.String())
		}
		if got := strings.Join(all, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestForwardGuardIsKept: it is there, follows a reload, is put back when somebody takes it away, and
// leaves at the end.
func TestForwardGuardIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLVSBench(t)
		expect := func(why, text string) {
			t.Helper()
			want := guardOf(configOf(t, text))
			have, _ := b.host.ForwardGuard()
			if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(have)); diff != "" {
				t.Errorf("%s: guarded (-want +got)\n%s", why, diff)
			}
		}
		one := globals(guarded) + served("192.168.1.1 80", "lb_kind NAT\nprotocol TCP", 80)
		two := globals(guarded) + served("192.168.1.1 80", "lb_kind NAT\nprotocol TCP", 80, 81)
		b.begin(one)
		expect("begun", one)
		if !b.noted.Guarded {
			t.Error("the guard is not noted for who comes next")
		}
		b.set(two)
		expect("reloaded", two)
		b.host.guard(nil, nil)
		bubbletest.Pass(lvsRhythm)
		expect("put back", two)
		b.host.guard(nil, errors.New("no nftables"))
		bubbletest.Pass(lvsRhythm)
		all := b.lvs.conditions()
		if len(all) != 1 || all[0].Subject != "lvs: forward guard" || all[0].Evidence != "no nftables" {
			t.Errorf("conditions %+v, want one of the forward guard", all)
		}
		b.host.guard(nil, nil)
		bubbletest.Pass(lvsRhythm)
		expect("well again", two)
		if all := b.lvs.conditions(); len(all) > 0 {
			t.Errorf("conditions %+v, want none", all)
		}
		b.set("")
		expect("not wanted", "")
		b.set(two)
		b.end()
		expect("at the end", "")
	})
}

// TestForwardGuardOfOthers: who wants none leaves alone what it has not made.
func TestForwardGuardOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLVSBench(t)
		theirs := []netif.Reply{{Protocol: 6}}
		b.host.guard(theirs, nil)
		b.begin(globals("lvs_timeouts tcp 60"))
		b.end()
		if have, _ := b.host.ForwardGuard(); len(have) != 1 {
			t.Errorf("the guard of somebody else is %v", have)
		}
	})
}
