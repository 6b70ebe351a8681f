package debian_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/lab/kernel/debian"
)

// versions are ascending; the cases are those of deb-version(7) and of kernels.
var versions = []string{
	"5.10.0-1", "6.1.9-1", "6.1.90~rc1-1", "6.1.90-1", "6.1.176-1", "6.1.192-1", "6.1.192-2",
	"6.1.192-2a", "6.1.192-10", "6.12.117-1~deb12u1", "6.12.117-1", "6.12.117-1+b1", "1:1.0-1",
}

func TestCompareVersions(t *testing.T) {
	for i, a := range versions {
		for j, b := range versions {
			got := debian.CompareVersions(a, b)
			if (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("compare %s with %s: %d, want the sign of %d", a, b, got, i-j)
			}
		}
	}
	for _, same := range [][2]string{{"1.0", "1.0-0"}, {"0:1-1", "1-1"}, {"1.01", "1.1"}} {
		if got := debian.CompareVersions(same[0], same[1]); got != 0 {
			t.Errorf("compare %s with %s: %d, want 0", same[0], same[1], got)
		}
	}
}

func TestCompareVersionsAgreesWithDpkg(t *testing.T) {
	dpkg, err := exec.LookPath("dpkg")
	if err != nil {
		t.Skip("no dpkg to compare with")
	}
	for i, a := range versions[1:] {
		if err := exec.Command(dpkg, "--compare-versions", versions[i], "lt", a).Run(); err != nil {
			t.Errorf("dpkg does not have %s before %s: %v", versions[i], a, err)
		}
	}
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("6.1.192-2", "6.12.117-1~deb12u1")
	f.Fuzz(func(t *testing.T, a, b string) {
		ab, ba := debian.CompareVersions(a, b), debian.CompareVersions(b, a)
		if (ab < 0) != (ba > 0) || (ab == 0) != (ba == 0) {
			t.Errorf("%q to %q is %d, the other way round %d", a, b, ab, ba)
		}
		if c := debian.CompareVersions(a, a); c != 0 {
			t.Errorf("%q to itself is %d", a, c)
		}
	})
}

// fakeApt puts programs on PATH that play apt's: an archive of one package. They note their calls
// in the file that is returned.
func fakeApt(t *testing.T) (calls string) {
	t.Helper()
	dir := t.TempDir()
	calls = filepath.Join(dir, "calls")
	head := "#!/bin/sh\n" +
		"while true; do case $1 in -q) shift;; -o) shift 2;; *) break;; esac; done\n" +
		"echo \"${0##*/} $*\" >>" + calls + "\n"
	for name, body := range map[string]string{
		"apt-get": `case $1 in
update) echo "lists read";;
download) [ "$2" = hello=2.0-1 ] || { echo "E: no $2" >&2; exit 100; }
	echo new >hello_2.0-1_all.deb;;
esac`,
		"apt-cache": `[ "$3" = hello ] || { echo "E: No packages found" >&2; exit 100; }
cat <<EOF
Package: hello
Version: 2.0-1
Depends: libc6 (>= 2.3) | musl, make:any, tar [amd64]
Description: greets

Package: hello
Version: 1.0-1
EOF`,
		"dpkg-deb": `mkdir -p "$3" && cp "$2" "$3/unpacked"`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(head+body+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return calls
}

func TestFetch(t *testing.T) {
	calls, ctx := fakeApt(t), context.Background()
	a, err := debian.Open(ctx, filepath.Join(t.TempDir(), "apt"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Show(ctx, "hello")
	if err != nil {
		t.Fatal(err)
	}
	want := debian.Package{Name: "hello", Version: "2.0-1", Depends: []string{"libc6", "make", "tar"}}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("package (-want +got):\n%s", diff)
	}
	dir := t.TempDir()
	old := filepath.Join(dir, "hello_1.0-1_all.deb")
	if err := os.WriteFile(old, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := a.Download(ctx, p, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := debian.Unpack(ctx, file, filepath.Join(dir, "root")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "root", "unpacked")); string(b) != "new\n" {
		t.Errorf("unpacked %q (%v), want the new version", b, err)
	}
	b, _ := os.ReadFile(calls)
	wantCalls := "apt-get update\napt-cache show --no-all-versions hello\n" +
		"apt-get download hello=2.0-1\ndpkg-deb -x " + file + " " + dir + "/root\n"
	if diff := cmp.Diff(wantCalls, string(b)); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestFetchErrors(t *testing.T) {
	fakeApt(t)
	ctx := context.Background()
	a, err := debian.Open(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Show(ctx, "nobody")
	if err == nil || !strings.Contains(err.Error(), "No packages found") {
		t.Errorf("show an unknown package: %v; want apt's own words", err)
	}
	_, err = a.Download(ctx, debian.Package{Name: "hello", Version: "3"}, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "E: no hello=3") {
		t.Errorf("download an unknown version: %v; want apt's own words", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := debian.Open(ctx, t.TempDir()); !errors.Is(err, debian.ErrNoApt) {
		t.Errorf("open without apt: %v, want ErrNoApt", err)
	}
}
