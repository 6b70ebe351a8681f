package guard

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// vi is a claim with adverts of a second: silent for 1.5 s is frozen.
func vi(name string) Claim {
	return Claim{Name: name, Interval: time.Second, Down: 3 * time.Second,
		Patience: 1500 * time.Millisecond}
}

// step is what happens at a time after the start, and what comes of it. Timeouts in between happen
// by themselves.
type step struct {
	at   time.Duration
	ev   Event
	want string
}

// killed is the end by SIGKILL.
var killed = Ended{Status: 137, Signaled: true}

func TestMachine(t *testing.T) {
	const s = time.Second
	const ms = time.Millisecond
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"stops when told", []step{
			{0, Begin{}, "start worker"},
			{1 * s, Claimed{vi("A")}, ""},
			{2 * s, Stop{}, "terminate worker"},
			{2 * s, Stop{}, ""},
			{3 * s, Released{"A"}, ""},
			{3 * s, Ended{}, "exit 0"},
		}},
		{"a first worker that cannot start says why", []step{
			{0, Begin{}, "start worker"},
			{1 * s, Ended{Status: 2}, "exit 2"},
		}},
		{"stands in until the next worker claims", []step{
			{0, Begin{}, "start worker"},
			{0, Claimed{vi("A")}, ""},
			{0, Claimed{vi("B")}, ""},
			{0, Ready{}, ""},
			{500 * ms, killed, "tell: worker ended; another one goes on, status 137; " +
				"advertise A; advertise B; resume worker"},
			{1000 * ms, Claimed{vi("A")}, ""},
			{1600 * ms, Beat{}, "1.5s: advertise B"},
			{1700 * ms, Claimed{vi("B")}, ""},
			{1800 * ms, Ready{}, ""},
			{3 * s, Beat{}, ""},
			{4 * s, Beat{}, ""},
		}},
		{"withdraws what the next worker does not claim", []step{
			{0, Begin{}, "start worker"},
			{0, Claimed{vi("A")}, ""},
			{0, Ready{}, ""},
			{1 * s, killed, "tell: worker ended; another one goes on, status 137; " +
				"advertise A; resume worker"},
			{1100 * ms, Ready{}, "tell: not taken up: A; resign A; withdraw A"},
		}},
		{"hands over when the next worker is not there in time", []step{
			{0, Begin{}, "start worker"},
			{0, Claimed{vi("A")}, ""},
			{0, Ready{}, ""},
			{1 * s, killed, "tell: worker ended; another one goes on, status 137; " +
				"advertise A; resume worker"},
			{3100 * ms, killed, "2s: advertise A; " +
				"3s: tell: worker takes too long; killing it; kill worker; advertise A; " +
				"tell: worker ended again; handing over, status 137, 1s; listen for A; resign A"},
			{3500 * ms, Heard{"A"}, ""},
			{4 * s, Heard{"A"}, "3.6s: withdraw A"},
			{5 * s, Beat{}, "4.1s: start worker"},
		}},
		{"hands over at the second death in a minute, without a successor", []step{
			{0, Begin{}, "start worker"},
			{0, Ready{}, ""},
			{1 * s, killed, "tell: worker ended; another one goes on, status 137; resume worker"},
			{1 * s, Ready{}, ""},
			{2 * s, Claimed{vi("A")}, ""},
			{50 * s, killed, "tell: worker ended again; handing over, status 137, 1s; " +
				"listen for A; resign A"},
			{60 * s, Beat{}, "51.5s: withdraw A; start worker"},
		}},
		{"rests longer each time", []step{
			{0, Begin{}, "start worker"},
			{0, Ready{}, ""},
			{1 * s, killed, "tell: worker ended; another one goes on, status 137; resume worker"},
			{2 * s, killed, "tell: worker ended again; handing over, status 137, 1s"},
			{4 * s, killed, "3s: start worker; " +
				"tell: worker ended again; handing over, status 137, 2s"},
			{7 * s, Ended{Status: 2}, "6s: start worker; " +
				"tell: worker ended again; handing over, status 2, 4s"},
			{8 * s, Stop{}, "exit 0"},
		}},
		{"a minute later it is the first death again", []step{
			{0, Begin{}, "start worker"},
			{0, Ready{}, ""},
			{1 * s, killed, "tell: worker ended; another one goes on, status 137; resume worker"},
			{1 * s, Ready{}, ""},
			{62 * s, killed, "tell: worker ended; another one goes on, status 137; resume worker"},
		}},
		{"kills a worker that stands still, in time to stand in", []step{
			{0, Begin{}, "start worker"},
			{0, Beat{}, ""},
			{0, Claimed{vi("A")}, ""},
			{0, Ready{}, ""},
			{1 * s, Beat{}, ""},
			{2500 * ms, Timeout{}, "inspect worker"},
			{2500 * ms, Inspected{Stopped: true}, "tell: worker stands still; killing it, 1.5s; " +
				"kill worker"},
			{2510 * ms, killed, "" +
				"tell: worker ended; another one goes on, status 137; advertise A; resume worker"},
		}},
		{"does not stand in when a peer has taken over meanwhile", []step{
			{0, Begin{}, "start worker"},
			{0, Beat{}, ""},
			{0, Claimed{Claim{Name: "A", Interval: 10 * ms, Down: 30 * ms, Patience: 510 * ms}}, ""},
			{0, Ready{}, ""},
			{15 * ms, Timeout{}, "inspect worker"},
			{15 * ms, Inspected{Stopped: true}, "tell: worker stands still; killing it, 15ms; " +
				"kill worker"},
			{110 * ms, killed, "" +
				"tell: worker ended after a silence; handing over, status 137, 110ms; " +
				"listen for A; resign A"},
			{120 * ms, Heard{"A"}, ""},
			{300 * ms, Beat{}, "220ms: withdraw A; start worker"},
		}},
		{"spares a worker that has no time, but not for ever", []step{
			{0, Begin{}, "start worker"},
			{0, Beat{}, ""},
			{0, Claimed{vi("A")}, ""},
			{1500 * ms, Timeout{}, "inspect worker"},
			{1500 * ms, Inspected{}, ""},
			{1900 * ms, Beat{}, ""},
			{3400 * ms, Timeout{}, "inspect worker"},
			{3400 * ms, Inspected{}, ""},
			{3900 * ms, Timeout{}, "inspect worker"},
			{3900 * ms, Inspected{}, "tell: worker stands still; killing it, 2s; kill worker"},
		}},
		{"expects no sign of life before the first", []step{
			{0, Begin{}, "start worker"},
			{100 * s, Ready{}, ""},
		}},
		{"somebody stops the worker alone", []step{
			{0, Begin{}, "start worker"},
			{0, Ready{}, ""},
			{1 * s, Ended{}, "tell: worker stopped without being told to"},
			{3 * s, Ready{}, "2s: start worker"},
		}},
		{"a worker that dies while it stops is handed over", []step{
			{0, Begin{}, "start worker"},
			{0, Claimed{vi("A")}, ""},
			{1 * s, Stop{}, "terminate worker"},
			{1 * s, killed, "listen for A; resign A"},
			{3 * s, Beat{}, "2.5s: withdraw A; exit 0"},
		}},
		{"a worker that does not stop is killed", []step{
			{0, Begin{}, "start worker"},
			{1 * s, Stop{}, "terminate worker"},
			{40 * s, killed, "31s: tell: worker takes too long; killing it; kill worker; exit 0"},
		}},
		{"stops while it hands over", []step{
			{0, Begin{}, "start worker"},
			{0, Claimed{vi("A")}, ""},
			{1 * s, Ended{}, "tell: worker stopped without being told to; listen for A; resign A"},
			{1 * s, Stop{}, ""},
			{3 * s, Beat{}, "2.5s: withdraw A; exit 0"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m Machine
			start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			for i, s := range tt.steps {
				now := start.Add(s.at)
				var got []string
				for d := m.Deadline(); !d.IsZero() && d.Before(now); d = m.Deadline() {
					if line := texts(m.Step(d, Timeout{})); line != "" {
						got = append(got, d.Sub(start).String()+": "+line)
					}
				}
				if line := texts(m.Step(now, s.ev)); line != "" {
					got = append(got, line)
				}
				if diff := cmp.Diff(s.want, strings.Join(got, "; ")); diff != "" {
					t.Errorf("step %d, %T at %s (-want +got)\n%s", i, s.ev, s.at, diff)
				}
			}
		})
	}
}

// TestStalledGuard checks that a guard which has slept itself does not blame the worker.
func TestStalledGuard(t *testing.T) {
	var m Machine
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m.Step(now, Begin{})
	m.Step(now, Beat{})
	late := now.Add(10 * time.Second)
	if got := texts(m.Step(late, Timeout{})); got != "tell: guard stalled, 8s" {
		t.Errorf("late timeout: got %q", got)
	}
	silent := late.Add(maxSilence)
	if got := m.Deadline(); !got.Equal(silent) {
		t.Errorf("deadline: got %s, want %s", got, silent)
	}
	if got := texts(m.Step(silent, Timeout{})); got != "inspect worker" {
		t.Errorf("timeout in time: got %q", got)
	}
	if got := texts(m.Step(silent, Inspected{})); !strings.HasSuffix(got, "kill worker") {
		t.Errorf("inspected: got %q", got)
	}
}

func texts(actions []Action) string {
	all := make([]string, len(actions))
	for i, a := range actions {
		all[i] = a.String()
	}
	return strings.Join(all, "; ")
}
