package topology

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the goldens anew")

// compareAddresses lets cmp look into netip's types.
var compareAddresses = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{}),
	cmpopts.EquateEmpty(),
}

// golden compares got with a file under testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// mustPreset returns a preset that is known to exist.
func mustPreset(t testing.TB, name string) Topology {
	t.Helper()
	preset, err := Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	return preset
}

func TestPresetsAreValid(t *testing.T) {
	for _, name := range Presets() {
		t.Run(name, func(t *testing.T) {
			preset := mustPreset(t, name)
			if preset.Name != name {
				t.Errorf("preset %s calls itself %q", name, preset.Name)
			}
			if err := preset.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPresetUnknown(t *testing.T) {
	_, err := Preset("fig77")
	want := `find preset "fig77": expected fig5, fig6, fig7, fig7-dr, fig7-tun or ` +
		`fig7-v6 (did you mean "fig7"?)`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	original := mustPreset(t, "fig7")
	clone := original.Clone()
	if diff := cmp.Diff(original, clone, compareAddresses); diff != "" {
		t.Fatalf("clone differs (-want +got):\n%s", diff)
	}
	shared(t, "Topology", reflect.ValueOf(original), reflect.ValueOf(clone))
}

// shared fails the test for every slice that two values have in common, at any depth.
func shared(t *testing.T, path string, a, b reflect.Value) {
	t.Helper()
	switch a.Kind() {
	case reflect.Slice:
		if a.Len() > 0 && a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", path)
		}
		for i := range a.Len() {
			shared(t, path+"[]", a.Index(i), b.Index(i))
		}
	case reflect.Struct:
		for i := range a.NumField() {
			shared(t, path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
		}
	}
}

func TestLookups(t *testing.T) {
	fig7 := mustPreset(t, "fig7")
	if n, ok := fig7.Node("web2"); !ok || n.Role != RealServer {
		t.Errorf("node web2: %v, %v", n, ok)
	}
	if _, ok := fig7.Node("web9"); ok {
		t.Error("node web9 exists")
	}
	if diff := cmp.Diff([]string{"lb1", "lb2"}, namesOf(&fig7, Director)); diff != "" {
		t.Errorf("directors (-want +got):\n%s", diff)
	}
	if n, ok := fig7.Network("server"); !ok || n.Prefix.String() != "192.168.2.0/24" {
		t.Errorf("network server: %v, %v", n, ok)
	}
	lb1, _ := fig7.Node("lb1")
	if l, ok := lb1.LinkOn("server"); !ok || l.Interface != "eth1" {
		t.Errorf("lb1's link to server: %v, %v", l, ok)
	}
}

func TestEnumsPrint(t *testing.T) {
	got := []string{Role(0).String(), Client.String(), Director.String(), RealServer.String(),
		CheckKind(0).String(), TCPCheck.String(), FileCheck.String(), CheckKind(99).String(),
		HTTP.String(), Echo.String(), Protocol(-1).String()}
	want := []string{"unset", "client", "director", "real-server", "none", "tcp", "file", "unknown",
		"http", "echo", "unknown"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
