package live

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// asKeeper makes this test binary claim a lab, in the folder that its first argument names, and
// answer nobody.
const asKeeper = "TANDEM_TEST_AS_KEEPER"

// keepSilently is such a keeper.
func keepSilently(name string) {
	place, err := NewPlace(os.Args[1])
	if err == nil {
		_, err = place.Claim(name)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("up")
	_ = unix.Pause() // until it is killed
}

// newPlace is a place of its own: in a folder with a short name, for sockets cannot have long ones.
func newPlace(t *testing.T) Place {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "place-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	place, err := NewPlace(filepath.Join(dir, "labs"))
	if err != nil {
		t.Fatal(err)
	}
	return place
}

// startSilent starts a keeper that answers nobody.
func startSilent(t *testing.T, p Place, name string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], p.dir)
	cmd.Env = append(os.Environ(), asKeeper+"="+name)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := out.Read(b); err != nil || string(b[:n]) != "up\n" {
		t.Fatalf("the keeper says %q, %v", b[:n], err)
	}
	return cmd
}

func (p Place) mustNames(t *testing.T) []string {
	t.Helper()
	names, err := p.Names()
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestClaim(t *testing.T) {
	p := newPlace(t)
	c, err := p.Claim("fig7")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Claim("fig7"); !errors.Is(err, ErrTaken) {
		t.Errorf("error %v for the second claim, want that the name is taken", err)
	}
	other, err := p.Claim("fig5")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"fig5", "fig7"}, p.mustNames(t)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	info, err := os.Stat(p.file("fig7", "sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket %v, %v; want one for its user alone", info.Mode(), err)
	}
	folder := c.Folder()
	if _, err := os.Stat(folder); err != nil {
		t.Error(err)
	}
	if err := errors.Join(c.Release(), other.Release()); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(p.dir, "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lab's folder is left: %v", err)
	}
}

// TestKilledKeepersAreReplaced: what a killed keeper leaves is no lab, and in nobody's way.
func TestKilledKeepersAreReplaced(t *testing.T) {
	for _, how := range []string{"noticed by who lists", "noticed by who claims"} {
		t.Run(how, func(t *testing.T) {
			p := newPlace(t)
			keeper := startSilent(t, p, "fig7")
			_, folder, err := p.keeper("fig7")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"fig7"}, p.mustNames(t)); diff != "" {
				t.Fatalf("names while it lives (-want +got):\n%s", diff)
			}
			_ = keeper.Process.Kill()
			_ = keeper.Wait()
			if _, err := os.Stat(p.file("fig7", "sock")); err != nil {
				t.Fatalf("a killed keeper leaves its socket: %v", err)
			}
			if how == "noticed by who lists" && len(p.mustNames(t)) != 0 {
				t.Error("a dead lab is listed")
			}
			c, err := p.Claim("fig7")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Release()
			if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the dead lab's folder is left: %v", err)
			}
			conn, err := net.Dial("unix", p.file("fig7", "sock"))
			if err != nil {
				t.Fatalf("the new socket: %v", err)
			}
			conn.Close()
		})
	}
}

func TestFind(t *testing.T) {
	tests := []struct {
		name   string
		up     []string
		ask    string
		want   string
		reason Reason
		says   string
	}{
		{"none", nil, "", "", Lacks, "tandem lab up"},
		{"none of that name", nil, "fig7", "", Lacks, "tandem lab up"},
		{"the only one", []string{"fig7"}, "", "fig7", "", ""},
		{"one by name", []string{"fig5", "fig7"}, "fig5", "fig5", "", ""},
		{"which?", []string{"fig5", "fig7"}, "", "", Usage, "fig5, fig7 by --name"},
		{"another", []string{"fig7"}, "fig6", "", Lacks, "there is fig7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			for _, name := range tt.up {
				c, err := p.Claim(name)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Release()
			}
			r, err := p.Find(tt.ask)
			var f *Failure
			if tt.reason == "" {
				if err != nil || r.Name != tt.want {
					t.Errorf("lab %q, %v; want %q", r.Name, err, tt.want)
				}
			} else if !errors.As(err, &f) || f.Reason != tt.reason || !strings.Contains(f.Text, tt.says) {
				t.Errorf("error %v, want reason %s and a word on %q", err, tt.reason, tt.says)
			}
		})
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{"fig7": true, "my-lab.2": true, "0": true, "": false,
		"Fig7": false, "a/b": false, "..": false, "-n": false, strings.Repeat("x", 41): false} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

// TestForeignFoldersAreRefused: whoever can enter a folder could be asked in the lab's name.
func TestForeignFoldersAreRefused(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{open, link} {
		if _, err := NewPlace(dir); err == nil || !strings.Contains(err.Error(), "XDG_RUNTIME_DIR") {
			t.Errorf("%s: error %v, want one with a remedy", dir, err)
		}
	}
}

// TestDownKillsWhoDoesNotAnswer: nothing keeps a lab from being taken down.
func TestDownKillsWhoDoesNotAnswer(t *testing.T) {
	p := newPlace(t)
	keeper := startSilent(t, p, "fig7")
	r, err := p.Find("fig7")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Down(ctx, r); err != nil {
		t.Error(err)
	}
	if err := keeper.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the keeper ended with %v, want by being killed", err)
	}
}

// TestDownWaitsForWhoHangsUp: a lab whose last word is lost is not killed, and gone when Down returns.
func TestDownWaitsForWhoHangsUp(t *testing.T) {
	p := newPlace(t)
	claim, err := p.Claim("fig7")
	if err != nil {
		t.Fatal(err)
	}
	released := make(chan error, 1)
	go func() {
		conn, err := claim.Accept()
		if err == nil {
			_, err = bufio.NewReader(conn).ReadString('\n')
		}
		if err == nil {
			err = conn.Close()
		}
		time.AfterFunc(10*lockPoll, func() { released <- errors.Join(err, claim.Release()) })
	}()
	r, err := p.Find("fig7")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Down(t.Context(), r); err != nil { // were the keeper killed, that would be this test
		t.Error(err)
	}
	if names, err := p.Names(); err != nil || len(names) > 0 {
		t.Errorf("then there are labs %v, %v", names, err)
	}
	if err := <-released; err != nil {
		t.Error(err)
	}
}
