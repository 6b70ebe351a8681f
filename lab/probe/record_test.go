package probe

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/bubbletest"
	"github.com/tandemlb/tandem/reports"
)

func TestRecordsAreReadBack(t *testing.T) {
	t.Parallel()
	for _, want := range []httpRecord{
		{Ready: true},
		{},
		{Request: reports.Request{Sent: 1234567890123, Latency: 987654, Client: "client1",
			Outcome: reports.Answered, Server: "web1"}},
		{Request: reports.Request{Sent: 1, Latency: 2, Client: "c 1", Outcome: reports.Failed,
			Server: "größe\n", Detail: `a "quoted" word, and \ more`, Late: 3}, Late: -4},
	} {
		line := string(want.append(nil))
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Errorf("%q is not one line", line)
		}
		got, err := parseRecord(strings.TrimSuffix(line, "\n"))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", line, diff)
		}
	}
}

func TestParseRecordRefuses(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"", "1 2 3", "x 2 3 4 late \"\" \"\" \"\"", "1 2 3 4 late \"\" \"\"",
		"1 2 3 4 late \"\" \"\" \"", "panic: oh no"} {
		if r, err := parseRecord(line); err == nil {
			t.Errorf("%q is read as %+v", line, r)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add("ready")
	f.Add(`1 2 3 4 late "c" "s" "d"`)
	f.Fuzz(func(t *testing.T, line string) {
		r, err := parseRecord(line)
		if err != nil || strings.Contains(string(r.Request.Outcome), "\n") {
			return
		}
		again, err := parseRecord(strings.TrimSuffix(string(r.append(nil)), "\n"))
		if diff := cmp.Diff(r, again); err != nil || diff != "" {
			t.Errorf("%q: error %v (-first +again):\n%s", line, err, diff)
		}
	})
}

// TestRecordsGoTogether: records that come soon after each other are one piece, and none waits for
// longer than recordDelay.
func TestRecordsGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pieces pieceWriter
		p := prober{out: &pieces}
		p.write(httpRecord{Ready: true})
		if n := len(pieces.all()); n != 1 {
			t.Errorf("%d pieces once it is ready, want 1", n)
		}
		for range 3 {
			for range 4 {
				p.write(httpRecord{})
				bubbletest.Pass(recordDelay / 8)
			}
			if all := pieces.all(); len(all)%2 == 0 {
				t.Errorf("%q: a record did not wait", all)
			}
			bubbletest.Pass(recordDelay)
			p.write(httpRecord{})
			if err := p.failure(); err != nil {
				t.Error(err)
			}
		}
		var lines []int
		for _, piece := range pieces.all() {
			lines = append(lines, bytes.Count(piece, []byte("\n")))
		}
		if diff := cmp.Diff([]int{1, 4, 1, 4, 1, 4, 1}, lines); diff != "" {
			t.Errorf("records in each piece (-want +got):\n%s", diff)
		}
	})
}

// pieceWriter keeps what it is given by pieces.
type pieceWriter struct {
	mu     sync.Mutex
	pieces [][]byte
}

func (w *pieceWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pieces = append(w.pieces, bytes.Clone(b))
	return len(b), nil
}

func (w *pieceWriter) all() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.pieces)
}
