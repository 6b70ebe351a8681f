package config

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLanguageIsWhole checks that every keyword of keepalived is known in some block.
func TestLanguageIsWhole(t *testing.T) {
	text, err := os.ReadFile("testdata/keywords.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, k := range Keywords() {
		known[k.Name] = true
	}
	words := strings.Fields(string(text))
	if len(words) != 361 {
		t.Errorf("keywords.txt: got %d words, want 361", len(words))
	}
	for _, w := range words {
		if !known[w] {
			t.Errorf("%s: expected it in the language", w)
		}
	}
}

// TestKeywordsAreDescribed checks that each says what it does and takes, and why it has no effect.
func TestKeywordsAreDescribed(t *testing.T) {
	for _, k := range Keywords() {
		if k.Doc == "" || k.Usage == "" {
			t.Errorf("%s of %s: expected a description and a usage", k.Name, k.Scope)
		}
		if (k.Support == Needless || k.Support == Refused) && k.Why == "" {
			t.Errorf("%s of %s: %s: expected why", k.Name, k.Scope, k.Support)
		}
	}
}

// TestSchedulers checks that all the kernel's schedulers are taken.
func TestSchedulers(t *testing.T) {
	for _, name := range strings.Fields("rr wrr lc wlc lblc lblcr dh sh mh sed nq fo ovf twos") {
		if !slices.Contains(schedulers, name) {
			t.Errorf("%s: expected it among the schedulers", name)
		}
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"priority", "preempt", "preempt_delay", "state"}
	for _, tt := range []struct {
		name, word, want string
	}{
		{"swapped", "prioirty", "priority"},
		{"missing letter", "prempt", "preempt"},
		{"letter too many", "statee", "state"},
		{"case", "STATE", "state"},
		{"too far", "virtual", ""},
		{"empty", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := nearest(tt.word, candidates)
			if got != tt.want {
				t.Errorf("nearest(%q): got %q, want %q", tt.word, got, tt.want)
			}
		})
	}
}

func TestSplitCommand(t *testing.T) {
	for _, tt := range []struct {
		name, command string
		want          []string
	}{
		{"words", " /bin/a  b\tc ", []string{"/bin/a", "b", "c"}},
		{"single quotes", `/bin/a 'b "c"' d`, []string{"/bin/a", `b "c"`, "d"}},
		{"double quotes", `/bin/a "b 'c'" d`, []string{"/bin/a", "b 'c'", "d"}},
		{"quotes inside a word", `/bin/a b'c d'e`, []string{"/bin/a", "bc de"}},
		{"empty argument", `/bin/a ''`, []string{"/bin/a", ""}},
		{"quote without end", `/bin/a 'b c`, []string{"/bin/a", "b c"}},
		{"nothing", " ", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, splitCommand(tt.command)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestStatus checks the bounds of a range of status codes.
func TestStatus(t *testing.T) {
	u := URL{Status: []StatusRange{{200, 299}, {404, 404}}}
	for code, want := range map[int]bool{199: false, 200: true, 299: true, 300: false, 404: true} {
		if got := u.Accepts(code); got != want {
			t.Errorf("Accepts(%d): got %t, want %t", code, got, want)
		}
	}
}

// TestAddresses checks which forms of addresses the language has not, though Go has.
func TestAddresses(t *testing.T) {
	for _, tt := range []struct {
		name, word string
		want       bool
	}{
		{"IPv4", "192.168.1.1", true},
		{"IPv6", "2001:db8::1", true},
		{"zone", "fe80::1%eth0", false},
		{"IPv4 in IPv6", "::ffff:192.168.1.1", false},
		{"prefix", "192.168.1.1/24", false},
		{"name", "localhost", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := parseAddr(tt.word); got != tt.want {
				t.Errorf("parseAddr(%q): got %t, want %t", tt.word, got, tt.want)
			}
		})
	}
}

// TestSeconds checks the resolution and the forms of decimal seconds, both ways.
func TestSeconds(t *testing.T) {
	for _, tt := range []struct {
		name, word string
		want       time.Duration
		ok         bool
		canonical  string
	}{
		{"whole", "5", 5 * time.Second, true, "5"},
		{"fraction", "0.25", 250 * time.Millisecond, true, "0.25"},
		{"no digit before the point", ".5", 500 * time.Millisecond, true, "0.5"},
		{"no digit after the point", "5.", 5 * time.Second, true, "5"},
		{"microsecond", "0.000001", time.Microsecond, true, "0.000001"},
		{"zero", "0", 0, true, "0"},
		{"two points", "1.2.3", 0, false, ""},
		{"point alone", ".", 0, false, ""},
		{"unit", "1m", 0, false, ""},
		{"sign", "-1", 0, false, ""},
		{"exponent", "1e3", 0, false, ""},
		{"too many digits", "99999999999999999999", 0, false, ""},
		{"nothing", "", 0, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseSeconds(tt.word)
			if got != tt.want || ok != tt.ok {
				t.Errorf("parseSeconds(%q): got %s, %t, want %s, %t",
					tt.word, got, ok, tt.want, tt.ok)
			}
			if ok && inSeconds(got) != tt.canonical {
				t.Errorf("inSeconds(%s): got %s, want %s", got, inSeconds(got), tt.canonical)
			}
		})
	}
}
