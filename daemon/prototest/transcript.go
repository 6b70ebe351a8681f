// Package prototest tests implementations of protocols: by transcripts of what a state machine does,
// and by tshark as another reader of packets. It knows no protocol.
package prototest

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt with what happened")

// Player is a state machine that is played a transcript.
type Player interface {
	// Command has the machine do what a line says: a word, and arguments KEY=VALUE.
	Command(word string, args map[string]string)
	// Flush returns what happened since the last call, and how the machine stands.
	Flush() string
}

// Transcripts plays each testdata/*.txt to a machine of its own: blocks of commands, a line of
// dashes, and what happened. A block ends at a blank line; lines that begin with # are for the
// reader. With the flag -update the files are rewritten with what happened.
func Transcripts(t *testing.T, begin func(*testing.T) Player) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("find transcripts: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(begin(t), want)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("transcript (-want +got):\n%s", diff)
			}
		})
	}
}

// play returns the transcript with the answers of now.
func play(p Player, script []byte) []byte {
	var out bytes.Buffer
	answer := false
	for lines := bufio.NewScanner(bytes.NewReader(script)); lines.Scan(); {
		line := lines.Text()
		switch {
		case line == "----":
			answer = true
			fmt.Fprintf(&out, "----\n%s", p.Flush())
		case line == "":
			answer = false
			out.WriteString("\n")
		case answer:
		case strings.HasPrefix(line, "#"):
			fmt.Fprintln(&out, line)
		default:
			fmt.Fprintln(&out, line)
			words := strings.Fields(line)
			args := map[string]string{}
			for _, w := range words[1:] {
				key, value, _ := strings.Cut(w, "=")
				args[key] = value
			}
			p.Command(words[0], args)
		}
	}
	return out.Bytes()
}
