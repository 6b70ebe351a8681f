package topology

import (
	"encoding/xml"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"
)

// threeNetworks has a chain of three segments, which Text can only list.
func threeNetworks() Topology {
	t := fig7()
	t.Name = "three"
	t.Networks = append(t.Networks, Network{Name: "admin",
		Prefix: netip.MustParsePrefix("10.0.0.0/8")})
	t.Nodes = append(t.Nodes, Node{Name: "admin1", Role: Client,
		Links:   links("admin", "10.1.2.3/8", "server", "192.168.2.200/24"),
		Gateway: netip.MustParseAddr("192.168.2.1")})
	return t
}

func drawn(t *testing.T) []Topology {
	var all []Topology
	for _, name := range Presets() {
		all = append(all, mustPreset(t, name))
	}
	three := threeNetworks()
	if err := three.Validate(); err != nil {
		t.Fatal(err)
	}
	return append(all, three)
}

func TestDrawings(t *testing.T) {
	for _, topo := range drawn(t) {
		t.Run(topo.Name, func(t *testing.T) {
			golden(t, topo.Name+".svg", SVG(topo))
			golden(t, topo.Name+".mmd", Mermaid(topo))
			golden(t, topo.Name+".txt", Text(topo))
		})
	}
}

func TestTextFits(t *testing.T) {
	long := mustPreset(t, "fig7")
	long.Nodes[0].Name = strings.Repeat("x", 15)
	for _, topo := range append(drawn(t), long) {
		for line := range strings.Lines(Text(topo)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > textWidth {
				t.Errorf("%s: %d columns: %s", topo.Name, n, line)
			}
		}
	}
}

// TestSVGStandsAlone demands well-formed XML that asks for nothing from outside.
func TestSVGStandsAlone(t *testing.T) {
	odd := mustPreset(t, "fig7")
	odd.Nodes[0].Name = `<script>"&` + "\x00"
	for _, topo := range append(drawn(t), odd) {
		d := xml.NewDecoder(strings.NewReader(SVG(topo)))
		for {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", topo.Name, err)
			}
			start, ok := tok.(xml.StartElement)
			if !ok {
				continue
			}
			for _, a := range start.Attr {
				if a.Name.Local == "href" || strings.Contains(a.Value, "url(") {
					t.Errorf("%s: <%s %s=%q> refers outside", topo.Name, start.Name.Local, a.Name.Local,
						a.Value)
				}
			}
			if start.Name.Local == "script" {
				t.Errorf("%s: has a script", topo.Name)
			}
		}
	}
}

// TestDrawingsOfNonsense: drawings are also for topologies that do not validate.
func TestDrawingsOfNonsense(t *testing.T) {
	lost := Topology{Nodes: []Node{{Name: "x", Role: Director, Links: []Link{{Network: "none"}}}, {}},
		VIPs: []VIP{{Network: "none"}}, Services: []Service{{}}}
	for _, topo := range []Topology{{}, lost} {
		if SVG(topo) == "" || Mermaid(topo) == "" {
			t.Error("nothing drawn")
		}
		_ = Text(topo)
	}
}
