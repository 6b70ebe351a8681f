package bench

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/scenarios"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	kernel.Init()
	lab.Main(probe.Roles()...)
	orders := map[string]func(argument string) error{
		CarryOutName: carryOut, CarryOutIPVSName: carryOutIPVS}
	if len(os.Args) == 4 && os.Args[1] == "bench" && orders[os.Args[2]] != nil {
		if err := orders[os.Args[2]](os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// carryOut is what the program does in a guest.
func carryOut(argument string) error {
	var o OutageOrder
	if err := json.Unmarshal([]byte(argument), &o); err != nil {
		return err
	}
	need := []lab.Capability{lab.Root, lab.NetNS, lab.PIDNS, lab.Veth, lab.Bridge, lab.IPVS}
	err := kernel.Enter(context.Background(), kernel.Options{Time: kernel.VirtualTime, Need: need})
	if err != nil {
		return err
	}
	out, err := CarryOut(context.Background(), o)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// carryOutIPVS is what the program does in a guest that measures virtual services.
func carryOutIPVS(argument string) error {
	var o IPVSOrder
	if err := json.Unmarshal([]byte(argument), &o); err != nil {
		return err
	}
	need := []lab.Capability{lab.Root, lab.NetNS, lab.PIDNS, lab.Veth, lab.Bridge, lab.IPVS}
	err := kernel.Enter(context.Background(), kernel.Options{Time: o.Time(), Need: need})
	if err != nil {
		return err
	}
	found, err := CarryOutIPVS(context.Background(), o, func(text string) {
		fmt.Fprintln(os.Stderr, text)
	})
	if err != nil {
		return err
	}
	return WriteIPVSJSON(os.Stdout, &found)
}

// golden compares text with a file, or writes it.
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
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// tandemd returns the daemon, built unless TANDEM_TANDEMD names it. It skips where no lab can be.
func tandemd(t *testing.T) scenarios.Director {
	t.Helper()
	if os.Getenv("TANDEM_TANDEMD") == "" {
		path := filepath.Join(t.TempDir(), "tandemd")
		build := exec.Command("go", "build", "-trimpath", "-o", path, "../cmd/tandemd")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build tandemd: %v\n%s", err, out)
		}
		t.Setenv("TANDEM_TANDEMD", path)
	}
	d, err := scenarios.FindDirector("tandemd")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// rooted skips a test that makes namespaces where the user may not.
func rooted(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces of this kernel")
	}
}

// skipWithoutGuest skips a test on virtual time where there is no such kernel.
func skipWithoutGuest(t *testing.T) {
	t.Helper()
	if _, err := kernel.FindVirtualImage(); err != nil {
		t.Skip(err)
	}
}
