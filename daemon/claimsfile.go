package daemon

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tandemlb/tandem/daemon/guard"
)

// errRuns is that a file of claims belongs to a guard that runs.
var errRuns = errors.New("its director runs")

// claimsFile keeps the claims of a guard where somebody finds them if it is killed.
type claimsFile struct{ path string }

// savedClaims is the file's form.
type savedClaims struct {
	// PID and Started are the guard's; together they name it for as long as the machine runs.
	PID     int    `json:"pid"`
	Started uint64 `json:"started"`
	// Claims are in terms of guard.Claim.
	Claims []guard.Claim `json:"claims"`
}

// save replaces the file; without claims it removes it.
func (f claimsFile) save(claims []guard.Claim) error {
	if len(claims) == 0 {
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	started, err := startOf(os.Getpid())
	if err != nil {
		return err
	}
	temporary := filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path))
	// It is private: it has the passwords of adverts.
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = writeClaims(file, savedClaims{os.Getpid(), started, claims})
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write claims: %w", err)
	}
	return os.Rename(temporary, f.path)
}

// writeClaims writes s as JSON, one claim after the other: a text of all of those of a thousand
// instances would be most of what a guard takes.
func writeClaims(w io.Writer, s savedClaims) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, `{"pid":%d,"started":%d,"claims":[`, s.PID, s.Started)
	lines := json.NewEncoder(b)
	for i, c := range s.Claims {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := lines.Encode(c); err != nil {
			return err
		}
	}
	b.WriteString("]}\n")
	return b.Flush() // with the first error of all
}

// clean withdraws what the file names, and removes it. No file is no error; one whose guard runs is
// errRuns.
func (f claimsFile) clean(n *claimNetwork, log *slog.Logger) error {
	text, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var saved savedClaims
	if err := json.Unmarshal(text, &saved); err != nil {
		return fmt.Errorf("read claims %s: %w", f.path, err)
	}
	if started, err := startOf(saved.PID); err == nil && started == saved.Started {
		return fmt.Errorf("process %d: %w", saved.PID, errRuns)
	}
	var errs []error
	for _, c := range saved.Claims {
		log.Info("withdraw what an earlier run left", "instance", c.Name)
		errs = append(errs, n.Withdraw(c))
	}
	return errors.Join(append(errs, os.Remove(f.path))...)
}

// startOf returns when a process started, in ticks since the machine did (proc_pid_stat(5),
// starttime).
func startOf(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in brackets, may hold blanks.
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
	const starttime = 22 - 3 // fields are counted from 1, and the name is the second
	fields := strings.Fields(rest)
	if len(fields) <= starttime {
		return 0, fmt.Errorf("read start of process %d: expected %d fields, got %d", pid,
			starttime, len(fields))
	}
	return strconv.ParseUint(fields[starttime], 10, 64)
}
