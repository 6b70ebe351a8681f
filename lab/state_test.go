package lab

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestStateDiff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		before, after State
		want          []string
	}{
		{"nothing", nil, nil, nil},
		{"the same", State{"a", "b"}, State{"a", "b"}, nil},
		{"one less", State{"a", "b"}, State{"b"}, []string{"-a"}},
		{"one more", State{"a"}, State{"a", "b"}, []string{"+b"}},
		{"another", State{"a", "c"}, State{"b", "c"}, []string{"-a", "+b"}},
	} {
		if diff := cmp.Diff(test.want, test.before.Diff(test.after)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestParseVirtualServices(t *testing.T) {
	t.Parallel()
	text := strings.Join([]string{
		"IP Virtual Server version 1.2.1 (size=4096)",
		"Prot LocalAddress:Port Scheduler Flags",
		"  -> RemoteAddress:Port Forward Weight ActiveConn InActConn",
		"TCP  C0A80101:0050 rr persistent 300 FFFFFFFF",
		"  -> C0A8020B:0050      Masq    1      7          9",
		"FWM  00000005 wlc",
		"", "-> short",
	}, "\n")
	want := []string{
		"virtual service TCP C0A80101:0050 rr persistent 300 FFFFFFFF",
		"virtual service TCP C0A80101:0050 rr persistent 300 FFFFFFFF -> C0A8020B:0050 Masq 1",
		"virtual service FWM 00000005 wlc",
	}
	if diff := cmp.Diff(want, parseVirtualServices(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestImpairmentsAddUp(t *testing.T) {
	t.Parallel()
	a := Impairment{Delay: time.Second, Jitter: time.Millisecond, Loss: 0.5, Rate: 1000}
	b := Impairment{Delay: time.Second, Loss: 0.5, Corrupt: 1, Rate: 500}
	want := Impairment{Delay: 2 * time.Second, Jitter: time.Millisecond, Loss: 0.75, Corrupt: 1,
		Rate: 500}
	if diff := cmp.Diff(want, a.with(b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	share := rapid.Float64Range(0, 1)
	rapid.Check(t, func(t *rapid.T) {
		i := Impairment{Delay: time.Duration(rapid.IntRange(0, 1e9).Draw(t, "delay")),
			Loss: share.Draw(t, "loss"), Reorder: share.Draw(t, "reorder"),
			Rate: rapid.Uint64Range(0, 1e10).Draw(t, "rate")}
		if got := i.with(Impairment{}); got != i {
			t.Fatalf("%+v and nothing besides is %+v", i, got)
		}
		if got := i.limit(); got < 8 || got > queueFrames {
			t.Fatalf("%+v holds %d frames", i, got)
		}
	})
}
