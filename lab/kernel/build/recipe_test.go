package build_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/lab/kernel/build"
)

func TestDropped(t *testing.T) {
	config := "# a comment = x\nCONFIG_NET=y\nCONFIG_HZ=100\nCONFIG_NAME=\"a=b\"\n" +
		"# CONFIG_BLOCK is not set\nCONFIG_SMP=n\n"
	tests := []struct {
		name, options, optional string
		want                    []string
	}{
		{"nothing asked", "", "", nil},
		{"all there", "CONFIG_NET=y\nCONFIG_HZ=100\nCONFIG_NAME=\"a=b\"\n", "", nil},
		{"off in three ways", "CONFIG_BLOCK=n\nCONFIG_SMP=n\nCONFIG_NOWHERE=n\n", "", nil},
		{"disappeared", "CONFIG_NET=y\nCONFIG_IP_VS=y\n", "", []string{"CONFIG_IP_VS=y"}},
		{"turned off", "CONFIG_BLOCK=y\n", "", []string{"CONFIG_BLOCK=y"}},
		{"turned on", "CONFIG_NET=n\n", "", []string{"CONFIG_NET=n"}},
		{"another value", "CONFIG_HZ=250\n", "", []string{"CONFIG_HZ=250"}},
		{"a prefix of another", "CONFIG_NE=y\n", "", []string{"CONFIG_NE=y"}},
		{"comments are no options", "# CONFIG_IP_VS=y\n\n", "", nil},
		{"optional, taken", "", "CONFIG_NET=y\n", nil},
		{"optional, not known", "", "CONFIG_BASE_FULL=y\n", nil},
		{"optional, known and not taken", "", "CONFIG_BLOCK=y\n", []string{"CONFIG_BLOCK=y"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := build.Recipe{Options: tt.options, Optional: tt.optional}
			if diff := cmp.Diff(tt.want, r.Dropped(config)); diff != "" {
				t.Errorf("dropped (-want +got):\n%s", diff)
			}
		})
	}
}

// TestKernelsHaveEveryOption looks at the configurations of the kernels that were built here.
func TestKernelsHaveEveryOption(t *testing.T) {
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	k, err := build.Find(filepath.Join(dir, "tandem"))
	if err != nil {
		t.Skip(err)
	}
	config, err := os.ReadFile(filepath.Join(k.Dir, "config"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := build.OwnRecipe()
	if err != nil {
		t.Fatal(err)
	}
	for _, option := range r.Dropped(string(config)) {
		t.Errorf("%s dropped %s", k.Dir, option)
	}
}

// schedulers are all that Linux 6.1 has.
var schedulers = strings.Fields("RR WRR LC WLC FO OVF LBLC LBLCR DH SH MH SED NQ TWOS")

func TestOwnRecipe(t *testing.T) {
	r, err := build.OwnRecipe()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(r.Options+r.Optional, "\n"), "\n")
	var names []string
	for i, line := range lines {
		name, _, isOption := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "#"), line == "":
		case !isOption || !regexp.MustCompile(`^CONFIG_[A-Z0-9_]+$`).MatchString(name):
			t.Errorf("options:%d: %q is no option", i+1, line)
		case slices.Contains(names, name):
			t.Errorf("options:%d: %s a second time", i+1, name)
		}
		names = append(names, name)
	}
	want := []string{"UML_TIME_TRAVEL_SUPPORT", "IP_VS", "NF_TABLES_INET", "NF_TABLES_IPV4",
		"MACVLAN", "IPVLAN"}
	for _, s := range schedulers {
		want = append(want, "IP_VS_"+s)
	}
	for _, w := range want {
		if !slices.Contains(lines, "CONFIG_"+w+"=y") {
			t.Errorf("options.config does not have CONFIG_%s=y", w)
		}
	}
	for _, p := range r.Patches {
		head, _, ok := strings.Cut(p[1], "\n--- a/")
		if !ok || len(head) < 80 || !strings.HasPrefix(head, "um: ") {
			t.Errorf("%s does not begin with what it does and why", p[0])
		}
	}
}

func TestHash(t *testing.T) {
	base := build.Recipe{Options: "a", Patches: [][2]string{{"1", "x"}, {"2", "y"}}}
	seen := map[string]string{}
	for name, hash := range map[string]string{
		"base":            base.Hash("6.1-1"),
		"another version": base.Hash("6.1-2"),
		"other options":   build.Recipe{Options: "b", Patches: base.Patches}.Hash("6.1-1"),
		"no patches":      build.Recipe{Options: "a"}.Hash("6.1-1"),
		"another order": build.Recipe{Options: "a",
			Patches: [][2]string{{"2", "y"}, {"1", "x"}}}.Hash("6.1-1"),
		"options made optional": build.Recipe{Optional: "a", Patches: base.Patches}.Hash("6.1-1"),
		"cut elsewhere": build.Recipe{Options: "a",
			Patches: [][2]string{{"1x", ""}, {"2", "y"}}}.Hash("6.1-1"),
	} {
		if len(hash) != 12 {
			t.Errorf("hash %q has %d digits, want 12", hash, len(hash))
		}
		if other, ok := seen[hash]; ok {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		seen[hash] = name
	}
}

func TestPatchFailure(t *testing.T) {
	tests := []struct{ name, out, want string }{
		{"a hunk", "patching file a.c\nHunk #1 FAILED at 7.\n1 out of 1 hunk FAILED -- saving " +
			"rejects to file a.c.rej\n", "does not fit a.c (Hunk #1 FAILED at 7)"},
		{"one of two files", "patching file a.c\npatching file b.c\nHunk #2 FAILED at 9.\n",
			"does not fit b.c (Hunk #2 FAILED at 9)"},
		{"no such file", "can't find file to patch at input line 3\n|--- a/x/b.c\t2026\n" +
			"|+++ b/x/b.c\t2026\n", "does not fit x/b.c (not in the source)"},
		{"anything else", "patch: **** Only garbage was found in the patch input.\n",
			"patch: **** Only garbage was found in the patch input."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := build.PatchFailure(tt.out); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
