package topology

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMarshalGolden(t *testing.T) {
	for _, name := range Presets() {
		t.Run(name, func(t *testing.T) {
			preset := mustPreset(t, name)
			b, err := Marshal(preset)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".tandem.yml", string(b))
			back, err := Parse(name+".tandem.yml", b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(preset, back, compareAddresses); diff != "" {
				t.Errorf("round trip (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMarshalKeepsVRRP(t *testing.T) {
	want := mustPreset(t, "fig5")
	want.VRRP.Password, want.VRRP.UseVMAC = "s3cret-1", true
	b, err := Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse("fig5.tandem.yml", b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, back, compareAddresses); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}
}

func TestMarshalRefusesInvalid(t *testing.T) {
	var problems Problems
	if _, err := Marshal(Topology{}); !errors.As(err, &problems) {
		t.Errorf("error %v, want Problems", err)
	}
}

func TestParseStartsFromPreset(t *testing.T) {
	want := mustPreset(t, "fig7")
	want.Name = "mine"
	want.Nodes[3].Priority = 200
	want.Nodes = append(want.Nodes[:1], want.Nodes[2:]...)
	want.VRRP = VRRP{Version: 3, Advert: 100 * time.Millisecond}
	want.Services[0].Scheduler = "wrr"
	want.Services[0].RealServers[2].Weight = 3
	want.Services[0].Check = Check{}
	want.Nodes = append(want.Nodes, Node{Name: "web4", Role: RealServer,
		Links: links("server", "192.168.2.14/24"), Gateway: netip.MustParseAddr("192.168.2.1")})
	got, err := Parse("mine.tandem.yml", []byte(`
name: mine
preset: fig7
nodes:
  lb2: {priority: 200}
  client2: null
  web4:
    role: real-server
    links: {server: 192.168.2.14/24}
    gateway: 192.168.2.1
vrrp: {version: 3, advert: 100ms}
services:
  192.168.1.1:80:
    scheduler: wrr
    real_servers: {web3: {weight: 3}}
    check: null
`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compareAddresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestParseProblems reads every testdata/bad/*.tandem.yml; what is said of it stands beside it.
func TestParseProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.tandem.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".tandem.yml")
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(name+".yml", b)
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("error %v, want Problems", err)
			}
			golden(t, "bad/"+name+".txt", err.Error()+"\n")
		})
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, name := range Presets() {
		b, err := Marshal(mustPreset(f, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("preset: fig7\nnodes: {client1: null}\ndoc: 'it is: #1'\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Parse("fuzz.yml", b)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("error %v, want Problems", err)
			}
			for _, p := range problems {
				if p.At.Line < 1 || p.At.Column < 1 {
					t.Errorf("no place: %v", p)
				}
			}
			return
		}
		again, err := Marshal(got)
		if err != nil {
			t.Fatalf("marshal what was parsed: %v", err)
		}
		back, err := Parse("again.yml", again)
		if err != nil {
			t.Fatalf("parse what was marshalled: %v\n%s", err, again)
		}
		if diff := cmp.Diff(got, back, compareAddresses); diff != "" {
			t.Errorf("round trip (-want +got):\n%s", diff)
		}
		for _, drawing := range []string{SVG(got), Mermaid(got), Text(got)} {
			if drawing == "" {
				t.Error("empty drawing")
			}
		}
	})
}
