package daemon

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCompareOthers checks that a reload says what it changes beside instances and services, and
// does not say that it changes nothing.
func TestCompareOthers(t *testing.T) {
	const text = `global_defs {
    smtp_server 192.0.2.1
}
static_ipaddress {
    192.168.9.1/24 dev eth0
}
vrrp_script web {
    script /bin/true
    interval 1
}
vrrp_script idle {
    script /bin/true
}
vrrp_instance VI_A {
    interface eth0
    virtual_router_id 51
    notify_master /bin/true
    track_script {
        web
    }
    virtual_ipaddress { 192.168.1.1/24 }
}
`
	for _, tt := range []struct {
		name, old, new, want string
	}{
		{"nothing", "", "", ""},
		{"a script's interval", "interval 1", "interval 2", "change trackers: script web"},
		{"a script that nobody uses", "vrrp_script idle {", "vrrp_script idle {\ninterval 7", ""},
		{"what is depended on", "        web", "        web\nidle weight 10", "change trackers: " +
			"script idle more, what vrrp_instance VI_A depends on"},
		{"weight", "        web", "        web weight 3",
			"change trackers: what vrrp_instance VI_A depends on"},
		{"tracked interface", "track_script", "track_interface { eth1 }\ntrack_script",
			"change trackers: what vrrp_instance VI_A depends on"},
		{"script of an instance", "notify_master /bin/true", "notify_master /bin/false",
			"change notifications: scripts of vrrp_instance VI_A"},
		{"mail server", "192.0.2.1", "192.0.2.2", "change notifications: mail"},
		{"FIFO", "smtp_server", "notify_fifo /run/f\nsmtp_server", "change notifications: FIFOs"},
		{"static address", "192.168.9.1/24", "192.168.9.2/24",
			"change static entries: addresses"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := parseConfig(t, text)
			after := parseConfig(t, strings.Replace(text, tt.old, tt.new, 1))
			var got []string
			for _, s := range compare(before, after).steps() {
				got = append(got, s.String())
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("compare (-want +got)\n%s", diff)
			}
		})
	}
}
