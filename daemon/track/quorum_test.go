package track_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/track"
)

// TestQuorum gives numbers of processes at seconds, as "3@1", and expects changes as "up@1". A step
// is made at each deadline, too.
func TestQuorum(t *testing.T) {
	type p = track.Process
	const s = time.Second
	for _, tt := range []struct {
		name          string
		process       p
		numbers, want string
	}{
		{"first number decides", p{ForkDelay: 9 * s}, "1@0", "up@0"},
		{"first number decides, down", p{TerminateDelay: 9 * s}, "0@0", "down@0"},
		{"no delay", p{}, "1@0 0@1 1@2", "up@0 down@1 up@2"},
		{"quorum", p{Quorum: 2}, "1@0 2@1 3@2 1@3", "down@0 up@1 down@3"},
		{"most", p{Quorum: 1, HasMax: true, Max: 2}, "2@0 3@1 2@2", "up@0 down@1 up@2"},
		{"none may be", p{HasMax: true}, "0@0 1@1 0@2", "up@0 down@1 up@2"},
		{"fork_delay", p{ForkDelay: 5 * s}, "0@0 1@1", "down@0 up@6"},
		{"fork_delay, gone before", p{ForkDelay: 5 * s}, "0@0 1@1 0@3 1@4", "down@0 up@9"},
		{"fork_delay does not start anew", p{ForkDelay: 5 * s}, "0@0 1@1 2@3", "down@0 up@6"},
		{"terminate_delay", p{TerminateDelay: 5 * s}, "1@0 0@1", "up@0 down@6"},
		{"terminate_delay, back before", p{TerminateDelay: 5 * s}, "1@0 0@1 1@2", "up@0"},
		{"too many by a fork", p{HasMax: true, Max: 1, ForkDelay: 5 * s, TerminateDelay: 9 * s},
			"1@0 2@1", "up@0 down@6"},
		{"too many for a moment", p{HasMax: true, Max: 1, ForkDelay: 5 * s}, "1@0 2@1 1@2", "up@0"},
		{"enough again by an end", p{HasMax: true, Max: 1, TerminateDelay: 5 * s}, "2@0 1@1",
			"down@0 up@6"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := track.Quorum{Process: tt.process}
			start := time.Unix(0, 0)
			var got []string
			step := func(now time.Time, n int) {
				if q.Step(now, n) {
					got = append(got, fmt.Sprintf("%s@%d", q.State(), int(now.Sub(start)/s)))
				}
			}
			last := 0
			until := func(now time.Time) {
				for at := q.Deadline(); !at.IsZero() && !at.After(now); at = q.Deadline() {
					step(at, last)
				}
			}
			for _, word := range strings.Fields(tt.numbers) {
				var n, at int
				if _, err := fmt.Sscanf(word, "%d@%d", &n, &at); err != nil {
					t.Fatal(err)
				}
				now := start.Add(time.Duration(at) * s)
				until(now)
				step(now, n)
				last = n
			}
			until(start.Add(time.Hour))
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("after %s (-want +got):\n%s", tt.numbers, diff)
			}
		})
	}
}

func TestQuorumThatIsConfiguredAnew(t *testing.T) {
	q := track.Quorum{Process: track.Process{ForkDelay: time.Hour, TerminateDelay: time.Hour}}
	now := time.Unix(0, 0)
	q.Step(now, 1)
	q.Process.Quorum = 2
	if !q.Step(now, 1) || q.State() != track.Down {
		t.Errorf("another quorum with the same number: %s", q.State())
	}
	if diff := cmp.Diff("1 processes, wanted 2", q.Reason()); diff != "" {
		t.Errorf("reason (-want +got):\n%s", diff)
	}
}

func TestMatches(t *testing.T) {
	const none, exact = track.MatchDefault, track.MatchExact
	const partial, initial = track.MatchPartial, track.MatchInitial
	for _, tt := range []struct {
		name    string
		command string
		match   track.ParamMatch
		full    bool
		process string // name: command line
		want    bool
	}{
		{"name", "ssh", none, false, "ssh: /usr/bin/ssh host", true},
		{"longer name", "ssh", none, false, "sshd: ssh", false},
		{"name of which the kernel keeps 15 bytes", "a-very-long-name", none, false,
			"a-very-long-nam: x", true},
		{"thread of the kernel", "kthreadd", none, false, "kthreadd:", true},
		{"thread of the kernel, in full", "kthreadd", none, true, "kthreadd:", false},
		{"in full, any arguments", "/bin/a", none, true, "b: /bin/a x y", true},
		{"in full, another path", "a", none, true, "a: /bin/a", false},
		{"all arguments", "a x y", none, false, "b: a x y", true},
		{"all arguments, one more", "a x y", none, false, "b: a x y z", false},
		{"all arguments, one less", "a x y", none, false, "b: a x", false},
		{"exact, none", "a", exact, false, "b: a", true},
		{"exact, none but one", "a", exact, false, "b: a x", false},
		{"partial, none", "a", partial, false, "b: a x", true},
		{"partial", "a x", partial, false, "b: a x y", true},
		{"partial, longer last", "a x", partial, false, "b: a xx y", false},
		{"partial, too few", "a x y", partial, false, "b: a x", false},
		{"initial, none", "a", initial, false, "b: a x", true},
		{"initial, longer last", "a w x", initial, false, "b: a w xx y", true},
		{"initial, longer first", "a w x", initial, false, "b: a ww x", false},
		{"initial, other last", "a w x", initial, false, "b: a w y", false},
		{"initial, too few", "a w x", initial, false, "b: a w", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := track.Process{Command: strings.Fields(tt.command), Match: tt.match,
				FullCommand: tt.full}
			name, line, _ := strings.Cut(tt.process, ":")
			r := track.Running{PID: 1, Name: name, Args: strings.Fields(line)}
			if got := p.Matches(r); got != tt.want {
				t.Errorf("%s matches %s: %t, want %t", tt.command, tt.process, got, tt.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int
		err  string
	}{
		{"", 0, ""}, {" \n", 0, ""}, {"5", 5, ""}, {"-12\n", -12, ""}, {"+3 # a note", 3, ""},
		{"0x10", 16, ""}, {"010", 8, ""}, {"99999999999999999999", 1<<31 - 1, ""},
		{"-4294967296", -1 << 31, ""}, {"many", 0, `read number: F: "many" is not a whole number`},
		{"1.5", 0, `read number: F: "1.5" is not a whole number`},
	} {
		n, err := track.ParseNumber("F", tt.text)
		if n != tt.want || err == nil && tt.err != "" || err != nil && err.Error() != tt.err {
			t.Errorf("%q: got %d, %v, want %d, %s", tt.text, n, err, tt.want, tt.err)
		}
	}
	for _, tt := range []struct {
		stat, name string
		ok         bool
	}{
		{"1 (init) S 0", "init", true}, {"2 (a) b) (c) R 1", "a) b) (c", true},
		{"3 (x) Z 1", "x", false}, {"", "", false}, {"4 (x", "", false}, {"5 (x) ", "", false},
	} {
		if name, ok := track.ParseStat(tt.stat); name != tt.name || ok != tt.ok {
			t.Errorf("%q: got %q, %t, want %q, %t", tt.stat, name, ok, tt.name, tt.ok)
		}
	}
	for line, want := range map[string][]string{
		"": nil, "\x00": nil, "a\x00": {"a"}, "a\x00\x00b c\x00": {"a", "", "b c"}, "a": {"a"},
	} {
		if diff := cmp.Diff(want, track.ParseCommandLine([]byte(line))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", line, diff)
		}
	}
}
