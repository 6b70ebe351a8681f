package live

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/topology"
)

func preset(t *testing.T, name string) topology.Topology {
	t.Helper()
	p, err := topology.Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// held are the VIPs of figure 7 with who has them.
func held(outer, inner string) []VIPStatus {
	return []VIPStatus{{Name: "outer", Holders: strings.Fields(outer)},
		{Name: "inner", Holders: strings.Fields(inner)}}
}

func TestSelect(t *testing.T) {
	tests := []struct {
		name     string
		network  string
		vips     []VIPStatus
		selector string
		want     []string
		says     string // in the error
	}{
		{"a node", "fig7", nil, "web2", []string{"web2"}, ""},
		{"a node with an interface", "fig7", nil, "lb1:eth1", []string{"lb1:eth1"}, ""},
		{"a glob", "fig7", nil, "web*", []string{"web1", "web2", "web3"}, ""},
		{"a glob with more", "fig7", nil, "lb?:eth0", []string{"lb1:eth0", "lb2:eth0"}, ""},
		{"all", "fig5", nil, "all", []string{"client1", "lb1", "lb2"}, ""},
		{"directors", "fig7", nil, "@directors", []string{"lb1", "lb2"}, ""},
		{"master", "fig7", held("lb2", "lb2"), "@master", []string{"lb2"}, ""},
		{"master with an address", "fig7", held("lb1", "lb1"), "@master:192.168.1.1",
			[]string{"lb1:192.168.1.1"}, ""},
		{"backup", "fig7", held("lb2", "lb2"), "@backup", []string{"lb1"}, ""},
		{"master without VIPs", "fig6", nil, "@master", []string{"lb1"}, ""},
		{"backup of one", "fig6", nil, "@backup", nil, "1 director"},
		{"two masters", "fig7", held("lb1 lb2", "lb1"), "@master", nil, "outer lb1 and lb2, inner lb1"},
		{"parted VIPs", "fig7", held("lb1", "lb2"), "@master", nil, "outer lb1, inner lb2"},
		{"nobody", "fig7", held("", ""), "@backup", nil, "outer nobody, inner nobody"},
		{"no such node", "fig7", nil, "lb3", nil, "none of client1"},
		{"no such selector", "fig7", nil, "@slave", nil, "@backup"},
		{"bad glob", "fig7", nil, "lb[", nil, "syntax error"},
		{"nothing", "fig7", nil, "", nil, "none of client1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Select(preset(t, tt.network), tt.vips, tt.selector)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
			var f *Failure
			if tt.says != "" && (!errors.As(err, &f) || !strings.Contains(f.Text, tt.says)) {
				t.Errorf("error %v, want a word on %q", err, tt.says)
			}
			if tt.says == "" && err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	names := []string{"director-killed", "director-frozen", "worker-frozen", "link-down", "link",
		"one-way"}
	tests := []struct{ word, want, says string }{
		{"link", "link", ""},
		{"link-", "link-down", ""},
		{"director-f", "director-frozen", ""},
		{"killed", "director-killed", ""},
		{"wa", "one-way", ""},
		{"o", "one-way", ""},
		{"frozen", "", "it may be director-frozen, worker-frozen"},
		{"director", "", "it may be director-killed, director-frozen"},
		{"reboot", "", "want one of director-killed"},
		{"", "", "want one of"},
	}
	for _, tt := range tests {
		got, err := Match("inject fault", tt.word, names)
		if got != tt.want || (err == nil) != (tt.says == "") ||
			err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q means %q, %v; want %q %q", tt.word, got, err, tt.want, tt.says)
		}
	}
}

// TestKindsAreTheirOwnMatch: every kind of fault can be named, whatever others begin like it.
func TestKindsAreTheirOwnMatch(t *testing.T) {
	names := KindNames()
	for _, name := range names {
		if got, err := Match("", name, names); got != name {
			t.Errorf("%q means %q, %v", name, got, err)
		}
	}
}

func TestCaptureTargets(t *testing.T) {
	tests := []struct {
		name      string
		selectors []string
		want      []string
	}{
		{"nothing is everything", nil, []string{"client1:eth0", "client2:eth0", "lb1:eth0", "lb1:eth1",
			"lb2:eth0", "lb2:eth1", "web1:eth0", "web2:eth0", "web3:eth0"}},
		{"a node", []string{"lb1"}, []string{"lb1:eth0", "lb1:eth1"}},
		{"each once", []string{"lb1:eth1", "@master"}, []string{"lb1:eth1", "lb1:eth0"}},
		{"an interface that the topology does not know", []string{"lb1:vrrp.51"},
			[]string{"lb1:vrrp.51"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := captureTargets(preset(t, "fig7"), held("lb1", "lb1"), tt.selectors)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("interfaces %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	if _, err := captureTargets(preset(t, "fig7"), nil, []string{"lb9"}); err == nil {
		t.Error("no error for a node that is not there")
	}
}
