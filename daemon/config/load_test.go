package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLoadExpands reads a configuration of two files with variables and a condition, as each of two
// directors does.
func TestLoadExpands(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"main.conf": "$DEV=eth0\n@lb1 $PRIO=150\n@^lb1 $PRIO=100\ninclude parts/*.conf\n",
		"parts/vip.conf": "vrrp_instance outer {\n interface $DEV\n virtual_router_id 51\n" +
			" priority $PRIO\n virtual_ipaddress { 192.168.1.1/24 }\n}\n",
		"parts/wrong.conf": "vrrp_instance inner {\n interface $DEV\n virtual_router_id 52\n" +
			" priority ${PRIO}0\n virtual_ipaddress { 192.168.2.1/24 }\n}\n",
	}
	if err := os.Mkdir(filepath.Join(dir, "parts"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]int{"lb1": 150, "lb2": 100} {
		c, ds := Load(filepath.Join(dir, "main.conf"), Options{ID: id})
		if got := c.Instance("outer"); got == nil || int(got.Priority) != want ||
			got.Interface != "eth0" {
			t.Errorf("id %s: got %+v, want priority %d on eth0", id, got, want)
		}
		var said []string
		for _, d := range ds {
			if d.Severity == Error {
				said = append(said, filepath.Base(d.String())) // with the place of use
				if len(d.Pos.Notes()) == 0 {
					t.Errorf("%s: no note on the variable and the include", d)
				}
			}
		}
		wrong := []string{`wrong.conf:4:11: error: priority "` + map[string]string{"lb1": "150", "lb2": "100"}[id] +
			`0": expected a whole number from 1 to 255`}
		if diff := cmp.Diff(wrong, said); diff != "" {
			t.Errorf("id %s: errors (-want +got):\n%s", id, diff)
		}
	}
}
