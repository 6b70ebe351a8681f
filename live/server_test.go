package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// ways are those to a lab: past its server, or by a line to the server.
var ways = []struct {
	name string
	to   func(*testing.T, Lab) Remote
}{
	{"direct", func(t *testing.T, l Lab) Remote { return serve(t, l, nil).remote }},
	{"relayed", relayed},
}

var noon = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)

// full is a lab with something to say to everything.
func full() fake {
	fault := Fault{ID: 3, Kind: "link-down", Targets: []string{"lb1:eth0"}, Since: noon,
		Settings: map[string]string{"a": "b"}, Heals: noon.Add(time.Minute)}
	return fake{
		status: func(context.Context) (Status, error) {
			return Status{Name: "x", Since: noon, Faults: []Fault{fault},
				VIPs: []VIPStatus{{Name: "outer", Address: netip.MustParseAddr("192.168.1.1")}}}, nil
		},
		log:    func(r LogRequest) ([]string, error) { return []string{"a", r.Node}, nil },
		inject: func(InjectRequest) (Fault, error) { return fault, nil },
		heal:   func(r HealRequest) ([]Fault, error) { return []Fault{{ID: r.ID}, fault}, nil },
		exec: func(_ context.Context, r ExecRequest, s Streams) (int, error) {
			s.Started()
			_, err := io.WriteString(s.Output, strings.Join(r.Args, " "))
			if err == nil {
				_, err = io.WriteString(s.Errors, r.Dir)
			}
			return 42, err
		},
		capture: func(_ context.Context, r CaptureRequest, s Streams) (Captured, error) {
			s.Started()
			_, err := s.Output.Write([]byte{0, 1, 0xff})
			return Captured{Interfaces: r.Targets, Packets: int(r.For)}, err
		},
	}
}

func TestRemoteDoesWhatTheLabDoes(t *testing.T) {
	type said struct {
		Answer         any
		Started        int
		Output, Errors string
	}
	asks := []struct {
		name string
		ask  func(context.Context, Lab, Streams) (any, error)
	}{
		{"status", func(ctx context.Context, l Lab, _ Streams) (any, error) { return l.Status(ctx) }},
		{"log", func(ctx context.Context, l Lab, _ Streams) (any, error) {
			return l.Log(ctx, LogRequest{Node: "lb1"})
		}},
		{"inject", func(ctx context.Context, l Lab, _ Streams) (any, error) {
			return l.Inject(ctx, InjectRequest{Kind: "link-down"})
		}},
		{"heal", func(ctx context.Context, l Lab, _ Streams) (any, error) {
			return l.Heal(ctx, HealRequest{ID: 7})
		}},
		{"exec", func(ctx context.Context, l Lab, s Streams) (any, error) {
			return l.Exec(ctx, ExecRequest{Args: []string{"echo", "ä"}, Dir: "/x"}, s)
		}},
		{"capture", func(ctx context.Context, l Lab, s Streams) (any, error) {
			return l.Capture(ctx, CaptureRequest{Targets: []string{"lb1:eth0"}, For: 5}, s)
		}},
	}
	for _, way := range ways {
		for _, tt := range asks {
			t.Run(way.name+" "+tt.name, func(t *testing.T) {
				ask := func(l Lab) said {
					var s said
					var out, errs bytes.Buffer
					answer, err := tt.ask(t.Context(), l,
						Streams{Output: &out, Errors: &errs, Started: func() { s.Started++ }})
					if err != nil {
						t.Fatal(err)
					}
					s.Answer, s.Output, s.Errors = answer, out.String(), errs.String()
					return s
				}
				want, got := ask(full()), ask(way.to(t, full()))
				if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
					t.Errorf("the remote one differs (-lab +remote):\n%s", diff)
				}
			})
		}
	}
}

func TestFailuresKeepTheirReason(t *testing.T) {
	want := failure(Lacks, "the kernel lacks netem")
	l := fake{inject: func(InjectRequest) (Fault, error) { return Fault{}, want }}
	r := serve(t, l, nil).remote
	_, err := r.Inject(t.Context(), InjectRequest{})
	var got *Failure
	if !errors.As(err, &got) || *got != *want {
		t.Errorf("error %v, want %v", err, want)
	}
	if _, err := r.Status(t.Context()); !errors.As(err, &got) || got.Reason != Failed {
		t.Errorf("error %v, want one whose reason is that it failed", err)
	}
}

// echo is a program that writes what it reads.
func echo(_ context.Context, _ ExecRequest, s Streams) (int, error) {
	_, err := io.Copy(s.Output, s.Input)
	return 0, err
}

func TestInputOfAnyLengthComesThrough(t *testing.T) {
	want := make([]byte, 5*inputAhead+1)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range want {
		want[i] = byte(random.Uint32())
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			r := way.to(t, fake{exec: echo})
			var got bytes.Buffer
			_, err := r.Exec(t.Context(), ExecRequest{},
				Streams{Input: bytes.NewReader(want), Output: &got})
			if err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%d bytes came back, error %v; want the same %d", got.Len(), err, len(want))
			}
		})
	}
}

// endless is input without end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestSignalReachesAProgramThatTakesNoInput(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			obeys := func(ctx context.Context, _ ExecRequest, s Streams) (int, error) {
				s.Started()
				select {
				case c := <-s.Control:
					return 128 + int(c.Signal), nil
				case <-ctx.Done():
					return 0, context.Cause(ctx)
				}
			}
			control := make(chan Control, 1)
			status, err := way.to(t, fake{exec: obeys}).Exec(t.Context(), ExecRequest{}, Streams{
				Input: endless{}, Control: control,
				Started: func() { control <- Control{Signal: unix.SIGINT} }})
			if err != nil || status != 130 {
				t.Errorf("status %d, error %v; want 130", status, err)
			}
		})
	}
}

func TestHangingUpEndsTheProgram(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			ended := make(chan error, 1)
			waits := func(ctx context.Context, _ ExecRequest, s Streams) (int, error) {
				s.Started()
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return 0, context.Cause(ctx)
			}
			ctx, cancel := context.WithCancel(t.Context())
			_, err := way.to(t, fake{exec: waits}).Exec(ctx, ExecRequest{}, Streams{Started: cancel})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want that it was cancelled", err)
			}
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("the program ended because of %v", err)
			}
		})
	}
}

func TestDown(t *testing.T) {
	running := make(chan struct{})
	waits := func(ctx context.Context, _ ExecRequest, _ Streams) (int, error) {
		close(running)
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}
	s := serve(t, fake{exec: waits}, errors.New("a process is still there"))
	exec := make(chan error, 1)
	go func() {
		_, err := s.remote.Exec(t.Context(), ExecRequest{}, Streams{})
		exec <- err
	}()
	<-running
	err := s.remote.Down(t.Context())
	if err == nil || err.Error() != "a process is still there" {
		t.Errorf("error %v, want how closing the lab went", err)
	}
	if err := <-exec; err == nil {
		t.Error("the program that ran went on")
	}
	if err := <-s.ended; err == nil || s.closed != 1 {
		t.Errorf("the server ended with %v and closed the lab %d times, want once and why", err,
			s.closed)
	}
	if _, err := s.remote.Status(t.Context()); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("error %v after the end, want that nobody answers", err)
	}
}

func TestBadRequests(t *testing.T) {
	tests := []struct {
		name, line string
		says       string
	}{
		{"no JSON", "GET / HTTP/1.1\n", "malformed line"},
		{"other version", `{"version":99,"verb":"status"}` + "\n", "version 1"},
		{"no version", `{"verb":"status"}` + "\n", "version 1"},
		{"unknown verb", `{"version":1,"verb":"reboot"}` + "\n", `"reboot"`},
		{"nothing to exec", `{"version":1,"verb":"exec"}` + "\n", "read request to exec"},
		{"wrong type", `{"version":1,"verb":"heal","with":{"id":"x"}}` + "\n", "read request to heal"},
		{"too long", strings.Repeat("x", maxLine+1), "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, full(), nil)
			conn, err := s.listen.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go io.WriteString(conn, tt.line)
			var m message
			if err := json.NewDecoder(conn).Decode(&m); err != nil {
				t.Fatal(err)
			}
			if m.Failure == nil || !strings.Contains(m.Failure.Text, tt.says) {
				t.Errorf("answer %+v, want a failure with a word on %q", m.Failure, tt.says)
			}
		})
	}
}

func TestSilentClientsAreHungUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, full(), nil)
		conn, err := s.listen.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != requestLimit {
			t.Errorf("hung up after %s, want %s", took, requestLimit)
		}
		conn.Close()
	})
}

func TestSilentClientsDoNotKeepALabUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, full(), nil)
		conn, err := s.listen.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go io.Copy(io.Discard, conn)
		begin := time.Now()
		if err := s.remote.Down(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("it was down after %s, want at once", took)
		}
	})
}

// TestDeafClientsDoNotKeepALabUp: who asks for much and takes nothing of it.
func TestDeafClientsDoNotKeepALabUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		writes := func(_ context.Context, _ ExecRequest, s Streams) (int, error) {
			for {
				if _, err := s.Output.Write(make([]byte, chunk)); err != nil {
					return 0, err
				}
			}
		}
		s := serve(t, fake{exec: writes}, nil)
		conn, err := s.listen.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, `{"version":1,"verb":"exec","with":{}}`+"\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begin := time.Now()
		if err := s.remote.Down(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != goodbyeLimit {
			t.Errorf("it was down after %s, want %s", took, goodbyeLimit)
		}
	})
}

// TestTooMuchInputHangsUp: a client that does not wait until the program has taken what it sent.
func TestTooMuchInputHangsUp(t *testing.T) {
	ended := make(chan struct{})
	takesNone := func(ctx context.Context, _ ExecRequest, _ Streams) (int, error) {
		<-ctx.Done()
		close(ended)
		return 0, context.Cause(ctx)
	}
	s := serve(t, fake{exec: takesNone}, nil)
	conn, err := s.listen.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.Copy(io.Discard, conn)
	l := newLine(conn)
	if err := l.say(request{Version: ProtocolVersion, Verb: verbExec,
		With: json.RawMessage("{}")}); err != nil {
		t.Fatal(err)
	}
	for l.say(message{Input: make([]byte, chunk)}) == nil {
	}
	<-ended
}

// FuzzServer: whatever a client says, the server answers, or hangs up.
func FuzzServer(f *testing.F) {
	f.Add([]byte(`{"version":1,"verb":"status"}` + "\n"))
	f.Add([]byte(`{"version":1,"verb":"exec","with":{"node":"lb1"}}` + "\n" +
		`{"input":"YQ=="}` + "\n"))
	f.Add([]byte(`{"version":1,"verb":"heal","with":{"id":1}}` + "\n" + `{"signal":2}` + "\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		lab := full()
		lab.exec = echo
		ours, theirs := net.Pipe()
		go func() {
			defer ours.Close()
			_, _ = ours.Write(said)
		}()
		go io.Copy(io.Discard, ours)
		newCall(theirs).answer(t.Context(), lab)
		theirs.Close()
	})
}
