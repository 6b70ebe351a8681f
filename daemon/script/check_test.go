package script_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/script"
)

// needRoot skips where files cannot be given to root.
func needRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("giving files to root needs root")
	}
	if info, err := os.Stat("/"); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Skip("root's own files are not root's here, as in an ordinary user's guest")
	}
}

// TestCheck examines DIR/scripts/notify, whose directory and file have modes.
func TestCheck(t *testing.T) {
	needRoot(t)
	for _, tt := range []struct {
		name            string
		directory, file os.FileMode
		owner           int
		user            string
		owners          []uint32
		want            string // the part, below DIR
	}{
		{"root's alone", 0o755, 0o755, 0, "", nil, ""},
		{"anybody writes", 0o755, 0o757, 0, "", nil, "scripts/notify"},
		{"group writes", 0o755, 0o775, 0, "", nil, "scripts/notify"},
		{"anybody replaces", 0o777, 0o755, 0, "", nil, "scripts"},
		{"both: the first part", 0o777, 0o777, 0, "", nil, "scripts"},
		{"another owns", 0o755, 0o755, 65534, "", nil, "scripts/notify"},
		{"another may own", 0o755, 0o755, 65534, "", []uint32{65534}, ""},
		{"sticky directory", 0o777 | os.ModeSticky, 0o755, 0, "", nil, ""},
		{"nobody runs", 0o755, 0o757, 0, "nobody", nil, ""},
		{"root runs by name", 0o755, 0o757, 0, "root", nil, "scripts/notify"},
		{"unknown runs", 0o755, 0o757, 0, "no-such-user", nil, "scripts/notify"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := t.TempDir()
			c := script.Command{Args: []string{top + "/scripts/notify"},
				Account: script.Account{User: tt.user}}
			must(t, os.Mkdir(top+"/scripts", 0o755))
			must(t, os.WriteFile(c.Args[0], []byte("#!/bin/sh\n"), 0o755))
			must(t, os.Chmod(c.Args[0], tt.file))
			must(t, os.Chown(c.Args[0], tt.owner, tt.owner))
			must(t, os.Chmod(top+"/scripts", tt.directory))
			if diff := cmp.Diff(tt.want, weak(t, top, c, tt.owners...)); diff != "" {
				t.Errorf("weak part (-want +got):\n%s", diff)
			}
			r := script.Run(t.Context(), c, script.Options{Secure: true})
			if refused := errors.As(r.Err, new(*script.UnsafeError)); len(tt.owners) == 0 &&
				refused != (tt.want != "") {
				t.Errorf("run: %s", r.Reason())
			}
		})
	}
}

// weak returns the weak part of a command below a directory.
func weak(t *testing.T, top string, c script.Command, owners ...uint32) string {
	t.Helper()
	err := script.Check(c, owners...)
	var unsafe *script.UnsafeError
	if err == nil {
		return ""
	}
	if !errors.As(err, &unsafe) {
		t.Fatal(err)
	}
	return strings.TrimPrefix(unsafe.Part, top+"/")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheckFollowsLinks(t *testing.T) {
	needRoot(t)
	for _, tt := range []struct {
		name, link, to string
		open           string // a directory that anybody may write to
		want           string
	}{
		{"safe", "a/x", "../b/x", "", ""},
		{"the link can be replaced", "a/x", "../b/x", "a", "a"},
		{"what it leads to can be replaced", "a/x", "../b/x", "b", "b"},
		{"absolute", "a/x", "/b/x", "b", "b"},
		{"a link to a link", "a/x", "../c/x", "b", "b"},
		{"a directory on the way", "d", "b", "b", "b"},
		{"a circle", "a/x", "x", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := t.TempDir()
			for _, dir := range []string{"a", "b", "c"} {
				must(t, os.Mkdir(filepath.Join(top, dir), 0o755))
			}
			must(t, os.WriteFile(top+"/b/x", []byte("#!/bin/sh\n"), 0o755))
			must(t, os.Symlink("../b/x", top+"/c/x"))
			to := tt.to
			if filepath.IsAbs(to) {
				to = top + to
			}
			must(t, os.Symlink(to, filepath.Join(top, tt.link)))
			if tt.open != "" {
				must(t, os.Chmod(filepath.Join(top, tt.open), 0o777))
			}
			program := top + "/a/x"
			if tt.link == "d" {
				program = top + "/d/x"
			}
			got := weak(t, top, script.Command{Args: []string{program}})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("weak part (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckOfWhatIsNotThere(t *testing.T) {
	for _, c := range []script.Command{
		{}, {Args: []string{"no-such-name"}}, {Args: []string{"/nowhere/x"}},
	} {
		if err := script.Check(c); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
}

func TestCommand(t *testing.T) {
	c := script.Command{Args: []string{"/bin/x", "a b", ""}}
	if diff := cmp.Diff(`/bin/x "a b" ""`, c.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	same, err := c.Resolve()
	if err != nil || !c.Equal(same) {
		t.Errorf("resolved: %v, equal %t", err, c.Equal(same))
	}
	same.User = "root"
	if c.Equal(same) {
		t.Error("another user is equal")
	}
	_, err = script.Command{Account: script.Account{User: "no-such-user"}}.Resolve()
	if err == nil {
		t.Error("resolved an unknown user")
	}
	if a := script.DefaultAccount(); a.User != "root" && a.User != "keepalived_script" {
		t.Errorf("default account %v", a)
	}
}
