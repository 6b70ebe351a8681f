package daemon

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/guard"
)

// TestClaimsFile saves claims, and finds them after their guard has died, but not while it runs.
func TestClaimsFile(t *testing.T) {
	file := claimsFile{filepath.Join(t.TempDir(), "d.claims")}
	n := &claimNetwork{}
	if err := file.clean(n, slog.Default()); err != nil {
		t.Errorf("clean without a file: %v", err)
	}
	claims := []guard.Claim{
		{Name: "VI_1", Held: []byte(`{"Addresses":null}`)}, {Name: "VI_2", Held: []byte(`{}`)},
	}
	if err := file.save(claims); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file.path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("file: got %v, %v; want mode 0600", info, err)
	}
	if err := file.clean(n, slog.Default()); !errors.Is(err, errRuns) {
		t.Errorf("clean of this process's claims: got %v, want %v", err, errRuns)
	}
	text, err := os.ReadFile(file.path)
	if err != nil {
		t.Fatal(err)
	}
	var saved savedClaims
	if err := json.Unmarshal(text, &saved); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(claims, saved.Claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	// The same process number, but of another process.
	dead := strings.Replace(string(text), `"started":`, `"started":1`, 1)
	if err := os.WriteFile(file.path, []byte(dead), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := file.clean(n, slog.Default()); err != nil {
		t.Errorf("clean of a dead guard's claims: %v", err)
	}
	if _, err := os.Stat(file.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("file after clean: got %v, want none", err)
	}
	if err := file.save(nil); err != nil {
		t.Errorf("save nothing: %v", err)
	}
	if err := os.WriteFile(file.path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := file.clean(n, slog.Default()); err == nil {
		t.Error("clean with half a file: expected an error")
	}
}
