package lab

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseUsage(t *testing.T) {
	t.Parallel()
	const status = "Name:\ttandemd\nState:\tS (sleeping)\nVmRSS:\t   12000 kB\n" +
		"RssAnon:\t    4096 kB\nRssFile:\t    7904 kB\nThreads:\t7\n"
	want := Usage{Threads: 7, Memory: 4096 << 10}
	if diff := cmp.Diff(want, parseUsage([]byte(status))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Usage{}, parseUsage([]byte("RssAnon: much\nThreads\n"))); diff != "" {
		t.Errorf("of what is no number (-want +got):\n%s", diff)
	}
}

func TestOwnUsageSeesDescriptor(t *testing.T) {
	before, err := OwnUsage()
	if err != nil {
		t.Fatal(err)
	}
	if before.Processes < 1 || before.Threads < 1 || before.Memory <= 0 {
		t.Errorf("%+v: want at least this process, one thread and some memory", before)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	after, err := OwnUsage()
	if err != nil {
		t.Fatal(err)
	}
	if n := after.Descriptors - before.Descriptors; n != 2 {
		t.Errorf("%d descriptors more with a pipe open, want 2", n)
	}
}
