package main

import (
	"bytes"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/tandemlb/tandem/live"
)

// screen is what somebody sees who awaits one thing after another.
type screen struct {
	chunks chan []byte // closed at the end
	seen   []byte      // that no text awaited was part of
}

// look reads all the time, to the end.
func look(from io.Reader) *screen {
	s := &screen{chunks: make(chan []byte, 1000)}
	go func() {
		defer close(s.chunks)
		for {
			b := make([]byte, 1024)
			n, err := from.Read(b)
			s.chunks <- b[:n]
			if err != nil {
				return
			}
		}
	}()
	return s
}

// await waits until a text has come behind the last one.
func (s *screen) await(t *testing.T, text string) {
	t.Helper()
	limit := time.After(labLimit)
	for {
		if i := bytes.Index(s.seen, []byte(text)); i >= 0 {
			s.seen = s.seen[i+len(text):]
			return
		}
		select {
		case b, ok := <-s.chunks:
			if !ok {
				t.Fatalf("await %q: it has ended; it said:\n%q", text, s.seen)
			}
			s.seen = append(s.seen, b...)
		case <-limit:
			t.Fatalf("await %q: not within %s; it said:\n%q", text, labLimit, s.seen)
		}
	}
}

// TestPrompt types at the prompt of a lab: completion, a program that is interrupted, a shell on a
// node.
func TestPrompt(t *testing.T) {
	s := newTerminals(t)
	s.must("lab", "up", "-t", s.quick())
	cmd := s.command("lab", "shell")
	cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+t.TempDir(), "TERM=xterm")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 30, Cols: 90})
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	shows := look(terminal)
	const prompt = "fig5> "
	steps := []struct{ typed, shows string }{
		{"", prompt},
		{"cli\tuname -n\r", "\nclient1\r\n"},
		{"", prompt},
		{"lb1 stty size\r", "\n30 90\r\n"},
		{"", prompt},
		{"lb1 cat\r", "\n"},
		{"over\r", "over\r\nover\r\n"}, // it runs, and waits for more
		{"\x03", prompt},
		{"abandoned\x03", prompt},
		{"fau\tinterface-o\tlb2:\t--set x\x03", prompt},
		{"fault interface-o\tlb2:\t\r", "interface-off lb2:eth0; heals"},
		{"", prompt},
		{"heal\r", "healed fault 1"},
		{"", prompt},
		{"lb2\r", "lb2# "},
		{"uname -n; exit\r", "lb2\r\nexit\r\n"},
		{"", prompt},
		{"\x1b[A\x1b[A\r", "no fault holds"},
		{"", prompt},
		{"\x04", "\n"},
	}
	for _, step := range steps {
		if _, err := terminal.WriteString(step.typed); err != nil {
			t.Fatal(err)
		}
		shows.await(t, step.shows)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the prompt ended with %v", err)
	}
	s.must("lab", "status")
}

// figure7 is a part of figure 7 as its status shows it.
func figure7() live.Status {
	link := func(name string, addrs ...string) live.LinkStatus {
		l := live.LinkStatus{Name: name}
		for _, a := range addrs {
			l.Addresses = append(l.Addresses, netip.MustParsePrefix(a))
		}
		return l
	}
	return live.Status{
		Nodes: []live.NodeStatus{
			{Name: "client1", Links: []live.LinkStatus{link("eth0", "192.168.1.100/24")}},
			{Name: "lb1", Links: []live.LinkStatus{link("eth0", "192.168.1.2/24", "192.168.1.1/32"),
				link("eth1", "192.168.2.2/24")}},
			{Name: "web1", Links: []live.LinkStatus{link("eth0", "192.168.2.11/24")}},
			{Name: "cut", Links: []live.LinkStatus{link("eth0")}},
		},
		VIPs: []live.VIPStatus{{Name: "outer", Address: netip.MustParseAddr("192.168.1.1"),
			Holders: []string{"lb1"}}},
		Faults: []live.Fault{{ID: 3}, {ID: 12}},
	}
}

func TestNamesBecomeAddresses(t *testing.T) {
	s := &shell{nodes: figure7().Nodes}
	tests := []struct{ from, line, want string }{
		{"client1", "ping lb1", "ping 192.168.1.2"},
		{"web1", "ping  -c 1 lb1 ", "ping  -c 1 192.168.2.2 "},
		{"client1", "curl web1 client1", "curl 192.168.2.11 192.168.1.100"},
		{"client1", "curl http://web1/", "curl http://web1/"},
		{"client1", "web1", "web1"},
		{"client1", "ping cut", "ping cut"},
		{"cut", "ping web1", "ping 192.168.2.11"},
	}
	for _, tt := range tests {
		if got := s.withAddresses(tt.from, tt.line); got != tt.want {
			t.Errorf("%q on %s becomes %q, want %q", tt.line, tt.from, got, tt.want)
		}
	}
}

func TestComplete(t *testing.T) {
	tests := []struct {
		line string
		want string // the whole line afterwards
		some string // one of what is shown; empty: nothing is
	}{
		{"cl", "client1 ", ""},
		{"c", "c", "capture"},
		{"", "", "status"},
		{"fault guard-k", "fault guard-killed ", ""},
		{"fault director-", "fault director-", "director-frozen"},
		{"fault link-down @m", "fault link-down @master ", ""},
		{"fault link-down lb1:", "fault link-down lb1:", "lb1:eth1"},
		{"fault vip-deleted lb1:1", "fault vip-deleted lb1:192.168.1.1 ", ""},
		{"fault link-down lb1:eth0 --f", "fault link-down lb1:eth0 --for ", ""},
		{"heal ", "heal ", "12"},
		{"heal 1", "heal 12 ", ""},
		{"log w", "log web1 ", ""},
		{"capture lb1:eth0 -", "capture lb1:eth0 -", "--for"},
		{"client1 curl 192", "client1 curl 192.168.1.1 ", ""},
		{"client1 cat testdata/un", "client1 cat testdata/unit/", ""},
		{"client1 ./testdata/un", "client1 ./testdata/unit/", ""},
		{"nobody x", "nobody x", ""},
	}
	for _, tt := range tests {
		words := strings.Fields(tt.line)
		word := ""
		if len(words) > 0 && !strings.HasSuffix(tt.line, " ") {
			word, words = words[len(words)-1], words[:len(words)-1]
		}
		whole, all := complete(word, candidates(figure7(), words, word))
		if got := strings.TrimSuffix(tt.line, word) + whole; got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.line, got, tt.want)
		}
		if shown := len(all) > 1; shown != (tt.some != "") || shown && !slices.Contains(all, tt.some) {
			t.Errorf("behind %q may come %q, want several with %q", tt.line, all, tt.some)
		}
	}
}

func TestWhatIsTypedIsNotLost(t *testing.T) {
	from, to := io.Pipe()
	typed := newTypist(from)
	b := make([]byte, 3)
	read := func(r io.Reader) string {
		n, err := r.Read(b)
		if err != nil {
			return err.Error()
		}
		return string(b[:n])
	}
	done := make(chan struct{})
	first := typed.session(done)
	go io.WriteString(to, "abcde")
	if got := read(first); got != "abc" {
		t.Errorf("the first reads %q", got)
	}
	second := typed.session(nil)
	if got := read(second); got != "de" {
		t.Errorf("the second reads %q", got)
	}
	close(done)
	if got := read(first); got != "EOF" {
		t.Errorf("the first reads %q when it is over", got)
	}
	go func() {
		io.WriteString(to, "f")
		to.Close()
	}()
	if got := read(second); got != "f" {
		t.Errorf("the second reads %q", got)
	}
	if got := read(second); got != "EOF" {
		t.Errorf("the second reads %q at the end", got)
	}
}

func TestInterruptClearsTheLine(t *testing.T) {
	var got []byte
	r := cancelling{strings.NewReader("ab\x03c\x03\x03")}
	for {
		b := make([]byte, 16)
		n, err := r.Read(b)
		got = append(got, b[:n]...)
		if err != nil {
			break
		}
	}
	const clear = "\x05\x15\r"
	if want := "ab" + clear + "c" + clear + clear; string(got) != want {
		t.Errorf("it reads %q, want %q", got, want)
	}
}

func TestHistory(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	h := loadHistory()
	for i := range historyMax {
		h.Add(strconv.Itoa(i))
	}
	h.Add("status")
	h.Add(" status ")
	h.Add("")
	for _, h := range []*history{h, loadHistory()} {
		if h.Len() != historyMax || h.At(0) != "status" || h.At(1) != strconv.Itoa(historyMax-1) ||
			h.At(historyMax-1) != "1" {
			t.Errorf("%d lines, %q and %q the last, %q the first", h.Len(), h.At(0), h.At(1),
				h.At(h.Len()-1))
		}
	}
}
