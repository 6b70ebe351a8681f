package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// nasty is a notify script that does, by its first argument, what scripts should not. Nothing that
// it starts outlives it for long.
const nasty = `#!/bin/sh
case $1 in
good) ;;
fails) exit 3 ;;
hangs) exec sleep 600 ;;
deaf) trap '' TERM; while :; do sleep 0.05; done ;;
chatty) exec head -c 300000 /dev/zero ;;
forks) for i in 1 2 3; do sleep 0.1 & done ;;
esac
echo "$1 $2 $3 $4 $5 $TANDEM_SEQ" >>HEARD
`

// descriptors counts the open ones of this process, those of the runtime's poller among them, which it
// opens for the first pipe and never closes.
func descriptors(t *testing.T) int {
	t.Helper()
	r, w, err := os.Pipe()
	if err = errors.Join(err, r.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// silentServer takes connections and never says a word.
func silentServer(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	var conns []net.Conn
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return l.Addr().String()
}

// crowd is a telling of 1,000 instances, each with a nasty script, mail to a server that says
// nothing, and a FIFO that nobody reads.
type crowd struct {
	*testing.T
	*telling
	log     *console
	heard   string
	fifo    *os.File
	subject []notify.Subject
	does    []string
	// stuck is how many never end by themselves.
	stuck int
	end   func() error
}

const (
	crowdSize = 1000
	// hangFor is how long a script of a crowd may hold up another one.
	hangFor = 5 * time.Second
)

func newCrowd(t *testing.T) *crowd {
	dir := t.TempDir()
	c := &crowd{T: t, log: &console{}, heard: filepath.Join(dir, "heard")}
	program := filepath.Join(dir, "nasty")
	text := strings.Replace(nasty, "HEARD", c.heard, 1)
	if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(c.log, nil))
	c.telling = newTelling(nil, log)
	c.notifier = notify.New(notify.Options{Run: c.runScript, Log: log,
		Patience: hangFor, Drain: time.Second})
	path := filepath.Join(dir, "fifo")
	c.fifo = makeFIFO(t, path)
	cfg := notify.Config{
		Rules: map[notify.Subject]notify.Rules{},
		FIFOs: []notify.FIFO{{Path: path, VRRP: true}},
		Mail:  notify.Mail{Server: silentServer(t), From: "a@b", To: []string{"c@d"}},
	}
	kinds := []string{"good", "good", "good", "good", "fails", "chatty", "forks", "good"}
	for i := range crowdSize {
		s := notify.Subject{Kind: notify.Instance, Name: fmt.Sprintf("I%d", i)}
		does := kinds[i%len(kinds)]
		switch i % 80 {
		case 0:
			does = "deaf"
			c.stuck++
		case 1:
			does = "hangs"
			c.stuck++
		}
		c.subject, c.does = append(c.subject, s), append(c.does, does)
		cfg.Rules[s] = notify.Rules{Any: &notify.Script{Args: []string{program, does}}, Mail: true}
	}
	if err := c.notifier.Configure(cfg); err != nil {
		t.Fatal(err)
	}
	c.end = begin(t.Context(), "telling", c.notifier.Run).end
	return c
}

// tellAll tells an event of each instance, and returns the longest that one took.
func (c *crowd) tellAll(state notify.State) time.Duration {
	var longest time.Duration
	for _, s := range c.subject {
		began := time.Now()
		c.tell(notify.Event{Subject: s, State: state, Priority: 100})
		longest = max(longest, time.Since(began))
	}
	return longest
}

// TestThousandNastyScripts has 1,000 instances change at once. All that is told is accounted for,
// each script that can is run, nobody waits, and no process, descriptor or goroutine stays.
func TestThousandNastyScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a thousand processes")
	}
	before := descriptors(t)
	t.Run("crowd", func(t *testing.T) {
		c := newCrowd(t)
		c.mu.Lock()
		longest := c.tellAll(notify.Master)
		c.mu.Unlock()
		// It takes some microseconds, and more on a machine that starts 64 processes meanwhile; who
		// waited for one that hangs would wait for hangFor.
		if longest > hangFor/2 {
			t.Errorf("telling took %s", longest)
		}
		c.await()
		err := c.end()
		if err == nil || !strings.Contains(err.Error(), "mails not delivered") {
			t.Errorf("end: got %v, want that mails are left", err)
		}
		c.account()
	})
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
		t.Errorf("wait: got %d, %v, want no child", pid, err)
	}
}

// await waits until only scripts are at work that hang: nothing waits for their places any more.
func (c *crowd) await() {
	c.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		st := c.notifier.Stats()
		if st.Scripts.Waiting == 0 && st.Running <= c.stuck {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			c.Fatalf("scripts: %+v, %d at work, want them to have ended", st.Scripts, st.Running)
		}
	}
}

// account compares what was told with what became of it.
func (c *crowd) account() {
	c.Helper()
	st := c.notifier.Stats()
	for name, n := range map[string]notify.Counts{
		"scripts": st.Scripts, "mail": st.Mail, "fifo": st.FIFOs[0].Counts,
	} {
		if n.Told != crowdSize || n.Done+n.Failed+n.Dropped != n.Told || n.Waiting != 0 {
			c.Errorf("%s: %+v, want %d, each with an end", name, n, crowdSize)
		}
	}
	if st.Seq != crowdSize || st.FIFOs[0].Done != crowdSize || st.Mail.Dropped != crowdSize {
		c.Errorf("got %+v, want all lines written and no mail sent", st)
	}
	numbers := map[string]int{}
	text, err := os.ReadFile(c.heard)
	if err != nil {
		c.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		numbers[strings.TrimSpace(line)]++
	}
	failed := 0
	for i, s := range c.subject {
		line := fmt.Sprintf("%s INSTANCE %s MASTER 100 %d", c.does[i], s.Name, i+1)
		switch c.does[i] {
		case "good", "forks":
			if numbers[line] != 1 {
				c.Errorf("%q was heard %d times", line, numbers[line])
			}
		case "fails", "hangs", "deaf":
			failed++
		}
	}
	if st.Scripts.Failed != uint64(failed) {
		c.Errorf("%d scripts failed, want %d", st.Scripts.Failed, failed)
	}
}

// TestFullFIFO tells more than a FIFO that nobody reads, and its queue, hold: the newest lines are
// there to be read, and those that are not are counted, and said.
func TestFullFIFO(t *testing.T) {
	const events = 10000
	path := filepath.Join(t.TempDir(), "fifo")
	pipe := makeFIFO(t, path)
	log := &console{}
	tl := newTelling(nil, slog.New(slog.NewTextHandler(log, nil)))
	cfg := parsed(t, "global_defs {\nnotify_fifo "+path+"\n}\n"+oneInstance)
	if err := tl.configure(cfg); err != nil {
		t.Fatal(err)
	}
	work := begin(t.Context(), "telling", tl.run)
	states := []vrrp.State{vrrp.Master, vrrp.Backup}
	began := time.Now()
	for i := range events {
		tl.settle(notify.Event{Subject: notify.Subject{Kind: notify.Instance, Name: "VI_1"},
			Priority: i % 250}, states[i%2])
	}
	if took := time.Since(began); took > patience {
		t.Errorf("telling took %s", took)
	}
	st := tl.notifier.Stats()
	dropped := st.FIFOs[0].Dropped
	if st.Seq != events || dropped == 0 {
		t.Errorf("got %+v, want lines dropped", st)
	}
	until(t, "a line in the log", func() bool { return log.has("fifo line dropped") })
	var text strings.Builder
	buffer := make([]byte, 1<<16)
	until(t, "lines", func() bool {
		n, err := pipe.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(buffer[:n])
		return strings.Count(text.String(), "\n")+int(dropped) >= events
	})
	if err := work.end(); err != nil {
		t.Error(err)
	}
	st = tl.notifier.Stats()
	if f := st.FIFOs[0]; f.Done+f.Dropped != events || f.Dropped != dropped {
		t.Errorf("got %+v, want what was not dropped to be done", f)
	}
}
