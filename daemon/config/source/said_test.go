package source

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestParseDiagnostics reads what String writes, with all the steps of each.
func TestParseDiagnostics(t *testing.T) {
	place := rapid.Custom(func(t *rapid.T) Pos {
		return At(rapid.StringMatching(`[a-z/.]{1,9}`).Draw(t, "file"),
			rapid.IntRange(1, 1<<30).Draw(t, "line"), rapid.IntRange(1, 1<<30).Draw(t, "column"))
	})
	origins := rapid.SliceOfN(rapid.StringMatching(`[a-z_]{0,3}`), 0, 4)
	brought := rapid.Custom(func(t *rapid.T) Pos {
		p := place.Draw(t, "place")
		for _, name := range origins.Draw(t, "origins") {
			o := &origin{use: p}
			if name != "" {
				o.variable = &variable{name: name}
			}
			p = place.Draw(t, "brought").brought(o)
		}
		return p
	})
	rapid.Check(t, func(t *rapid.T) {
		var want Diagnostics
		for range rapid.IntRange(0, 3).Draw(t, "count") {
			d := Diagnostic{
				Pos:      brought.Draw(t, "pos"),
				Severity: rapid.SampledFrom([]Severity{Note, Warning, Error}).Draw(t, "severity"),
				Text:     rapid.StringMatching(`[ -~]{1,9}`).Draw(t, "text"),
			}
			if rapid.Bool().Draw(t, "twice") {
				d.First = brought.Draw(t, "first")
			}
			want = append(want, d)
		}
		got := ParseDiagnostics("noise\n" + want.String())
		if diff := cmp.Diff(want.String(), got.String()); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
		for i, d := range got {
			if d.Severity != want[i].Severity || d.Pos.Compare(want[i].Pos) != 0 ||
				d.First.Compare(want[i].First) != 0 {
				t.Fatalf("got %+v, want %+v", d, want[i])
			}
		}
	})
}

// checkSaid checks that diagnostics are the same after they were written and read.
func checkSaid(t *testing.T, ds Diagnostics) {
	t.Helper()
	got := ParseDiagnostics(ds.String())
	if diff := cmp.Diff(ds.String(), got.String()); diff != "" || len(got) != len(ds) {
		t.Errorf("read what String wrote: got %d of %d (-want +got)\n%s", len(got), len(ds), diff)
	}
}
