package daemon

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTrackGroup has the instances of a track_group, and no other, be in fault while a part of it is
// missing.
func TestTrackGroup(t *testing.T) {
	const text = `
static_ipaddress {
	10.9.0.1/24 dev eth0 track_group T
	10.9.0.2/24 dev eth0
}
static_routes {
	10.8.0.0/16 via 10.9.0.254 track_group T
}
track_group T {
	group {
		A
	}
}
vrrp_instance A {
	interface eth0
	virtual_router_id 1
	virtual_ipaddress {
		10.0.0.1
	}
}
vrrp_instance B {
	interface eth0
	virtual_router_id 2
	virtual_ipaddress {
		10.0.0.2
	}
}
`
	tr := newTestTracking(t)
	cfg := tr.begin(text, nil)
	if g := statics(cfg).Groups["T"]; len(g.Addresses) != 1 || len(g.Routes) != 1 {
		t.Errorf("group T is %+v, want one address and one route", g)
	}
	tr.expect("begun", "")
	tr.static("T", errors.New("no route"))
	tr.expect("missing", "A well false\n")
	want := []string{"track_group T: no route"}
	if diff := cmp.Diff(want, tr.faults("A")); diff != "" {
		t.Errorf("faults of A (-want +got):\n%s", diff)
	}
	if got := tr.faults("B"); got != nil {
		t.Errorf("faults of B: %v, want none", got)
	}
	tr.static("other", errors.New("no route"))
	tr.expect("another group", "")
	tr.static("T", nil)
	tr.expect("there again", "A well true\n")
}
