package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/live"
	"github.com/tandemlb/tandem/scenarios"
)

// completer completes what is typed at the prompt.
type completer struct {
	shell  *shell
	editor io.Writer
}

// completeLimit is how long a lab may take to say what there is to be completed.
const completeLimit = time.Second

// key completes the word before the cursor on Tab: as far as all that it may become are the same.
// Where that is no further than it is, it shows them.
func (c *completer) key(line string, pos int, key rune) (string, int, bool) {
	if key != '\t' {
		return "", 0, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeLimit)
	defer cancel()
	status, err := c.shell.lab.Status(ctx)
	if err != nil {
		return line, pos, true // the lab is busy, or gone
	}
	words := strings.Fields(line[:pos])
	word := ""
	if len(words) > 0 && !strings.HasSuffix(line[:pos], " ") {
		word, words = words[len(words)-1], words[:len(words)-1]
	}
	whole, all := complete(word, candidates(status, words, word))
	if whole == word && len(all) > 1 {
		fmt.Fprintln(c.editor, strings.Join(all, "  "))
	}
	done := line[:pos-len(word)] + whole
	return done + line[pos:], len(done), true
}

// complete extends a word as far as all that it may become are the same, with a space where it is
// one, and returns what it may become.
func complete(word string, candidates []string) (whole string, all []string) {
	for _, c := range candidates {
		if strings.HasPrefix(c, word) && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return word, nil
	}
	whole = all[0]
	for _, c := range all[1:] {
		for !strings.HasPrefix(c, whole) {
			whole = whole[:len(whole)-1]
		}
	}
	if len(all) == 1 && !strings.HasSuffix(whole, "=") && !strings.HasSuffix(whole, "/") {
		whole += " "
	}
	return whole, all
}

// candidates are what may stand behind some words in a lab.
func candidates(s live.Status, words []string, word string) []string {
	if len(words) == 0 {
		return append(nodesOf(s), slices.Sorted(maps.Keys(shellWords))...)
	}
	switch words[0] {
	case "fault":
		return faultCandidates(s, words[1:])
	case "heal":
		return faultNumbers(s)
	case "capture":
		return append(targetsOf(s), "-w", "--for")
	case "log":
		return nodesOf(s)
	}
	if slices.Contains(nodesOf(s), words[0]) {
		return onNodeCandidates(s, len(words) == 1, word)
	}
	return nil
}

func faultCandidates(s live.Status, words []string) []string {
	switch {
	case len(words) == 0:
		return append(live.KindNames(), "heal", "list")
	case words[0] == "list":
		return nil
	case words[0] == "heal":
		return faultNumbers(s)
	case len(words) == 1:
		return targetsOf(s)
	}
	all := []string{"--for"}
	if words[len(words)-1] != "--set" {
		return append(all, "--set")
	}
	name, err := live.Match("fault", words[0], live.KindNames())
	if err != nil {
		return nil
	}
	kind, err := faults.ParseKind(name)
	if err != nil {
		return nil
	}
	all = nil
	for _, p := range kind.Parameters() {
		all = append(all, p.Name+"=")
	}
	return all
}

func faultNumbers(s live.Status) []string {
	var all []string
	for _, f := range s.Faults {
		all = append(all, strconv.Itoa(f.ID))
	}
	return all
}

func nodesOf(s live.Status) []string {
	var names []string
	for _, n := range s.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// targetsOf are selectors, nodes and their interfaces, and the directors with the VIPs.
func targetsOf(s live.Status) []string {
	all := append(scenarios.Selectors(), nodesOf(s)...)
	for _, n := range s.Nodes {
		for _, l := range n.Links {
			all = append(all, n.Name+":"+l.Name)
		}
	}
	for _, v := range s.VIPs {
		for _, h := range v.Holders {
			all = append(all, h+":"+v.Address.String())
		}
	}
	return all
}

// onNodeCandidates are programs for the first word of a line for a node, and then what may be
// called and files. Nodes see the same files as this program.
func onNodeCandidates(s live.Status, first bool, word string) []string {
	if word == "" {
		return nodesOf(s) // there are too many of the others
	}
	if !first {
		all := nodesOf(s)
		for _, v := range s.VIPs {
			all = append(all, v.Address.String())
		}
		return append(all, files(word)...)
	}
	if strings.Contains(word, "/") {
		return files(word)
	}
	var all []string
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		for _, f := range files(filepath.Join(dir, word)) {
			all = append(all, filepath.Base(f))
		}
	}
	slices.Sort(all)
	return all
}

// files are those whose path begins with a word, directories with a slash behind.
func files(word string) []string {
	literal := strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`).Replace(word)
	found, err := filepath.Glob(literal + "*")
	if err != nil {
		return nil
	}
	dir := word[:strings.LastIndexByte(word, '/')+1] // as it was typed
	for i, f := range found {
		found[i] = dir + filepath.Base(f)
		if info, err := os.Stat(f); err == nil && info.IsDir() {
			found[i] += "/"
		}
	}
	return found
}
