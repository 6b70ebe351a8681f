package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
)

// reportFile is the name of a report in its directory.
const reportFile = "report.json"

// storedReport is a report and the directory, or the file, that it was read from.
type storedReport struct {
	Path string
	reports.Report
}

// Of run directories, `<UTC time>-<name>-<seed>`, and of those of one drill of several in it.
var (
	runDirectory   = regexp.MustCompile(`^\d{8}T\d{6}-(.+)-(\d+)(?:\.\d+)?$`)
	drillDirectory = regexp.MustCompile(`^\d{2,}-(.+)$`)
)

// loadRun reads the reports of a run: of its directory, of the directory of one of its drills, or
// of one report.json. A drill that has left no report was broken off: its report is inconclusive.
func loadRun(path string) ([]storedReport, error) {
	path = filepath.Clean(path)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read run %s: it does not exist: give a run directory, "+
			"such as runs/latest", path)
	case err != nil:
		return nil, fmt.Errorf("read run: %w", err)
	case !info.IsDir():
		r, err := loadReport(path)
		return []storedReport{{path, r}}, err
	}
	if r, err := loadReport(filepath.Join(path, reportFile)); !errors.Is(err, fs.ErrNotExist) {
		return []storedReport{{path, r}}, err
	}
	all, err := loadDrills(path)
	if err != nil || len(all) > 0 {
		return all, err
	}
	return loadNothing(path)
}

// loadDrills reads the reports of the drills in a run directory, in order of their numbers; none:
// there are no drills in it.
func loadDrills(dir string) ([]storedReport, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	var all []storedReport
	for _, e := range entries {
		name := drillDirectory.FindStringSubmatch(e.Name())
		if !e.IsDir() || name == nil || runDirectory.MatchString(e.Name()) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		r, err := loadReport(filepath.Join(path, reportFile))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r = leftNothing(name[1], 0)
		case err != nil:
			return nil, err
		}
		all = append(all, storedReport{path, r})
	}
	return all, nil
}

// loadNothing is about a directory without reports: that of a run that was broken off, or none.
func loadNothing(dir string) ([]storedReport, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	if name := runDirectory.FindStringSubmatch(filepath.Base(real)); name != nil {
		seed, err := strconv.ParseUint(name[2], 10, 64)
		if err == nil {
			return []storedReport{{dir, leftNothing(name[1], seed)}}, nil
		}
	}
	for _, depth := range []string{"*", "*/*"} {
		if runs, _ := filepath.Glob(filepath.Join(dir, depth, reportFile)); len(runs) > 0 {
			one, _, _ := strings.Cut(strings.TrimPrefix(runs[len(runs)-1], dir+"/"), "/")
			return nil, fmt.Errorf("read run %s: it holds several runs: give one of them, such as %s",
				dir, filepath.Join(dir, one))
		}
	}
	return nil, fmt.Errorf("read run %s: this is no run directory: neither it nor a drill's "+
		"directory in it has a %s", dir, reportFile)
}

// leftNothing is the report of a drill that has left none.
func leftNothing(name string, seed uint64) reports.Report {
	s := scenarios.Scenario{Name: name}
	if found, err := scenarios.Find(name); err == nil && len(found) == 1 {
		s = found[0]
	}
	return scenarios.BrokenOff(s, scenarios.Director{Name: "-"}, scenarios.Options{Seed: seed},
		errors.New("it has left no "+reportFile+"; run it again"))
}

// loadReport reads one report.json.
func loadReport(path string) (reports.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return reports.Report{}, fmt.Errorf("read run: %w", err)
	}
	defer f.Close()
	r, err := reports.ReadJSON(f)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return r, fmt.Errorf("%s: %w: the file is damaged or cut short: run the drill again", path, err)
	case err != nil:
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// loadRuns reads several runs, in their order.
func loadRuns(paths []string) ([]storedReport, error) {
	var all []storedReport
	for _, path := range paths {
		one, err := loadRun(path)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

// plain are the reports alone.
func plain(stored []storedReport) []reports.Report {
	all := make([]reports.Report, len(stored))
	for i, s := range stored {
		all[i] = s.Report
	}
	return all
}
