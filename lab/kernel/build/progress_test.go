package build_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/lab/kernel/build"
)

func TestProgressOnAPipe(t *testing.T) {
	var b strings.Builder
	p := build.NewProgress(&b)
	p.Step("compiling")
	for done := 0; done <= 60; done++ {
		p.Count(done, 50)
	}
	p.Step("done")
	want := `virtual-time kernel: compiling
virtual-time kernel: compiled 0 % (0 of about 50 files)
virtual-time kernel: compiled 10 % (5 of about 50 files)
virtual-time kernel: compiled 20 % (10 of about 50 files)
virtual-time kernel: compiled 30 % (15 of about 50 files)
virtual-time kernel: compiled 40 % (20 of about 50 files)
virtual-time kernel: compiled 50 % (25 of about 50 files)
virtual-time kernel: compiled 60 % (30 of about 50 files)
virtual-time kernel: compiled 70 % (35 of about 50 files)
virtual-time kernel: compiled 80 % (40 of about 50 files)
virtual-time kernel: compiled 90 % (45 of about 50 files)
virtual-time kernel: done
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	var b strings.Builder
	p := build.NewProgress(&b)
	p.OnTerminal()
	p.Count(99, 100)
	p.Count(99, 100) // shown once
	p.Count(7, 0)    // no idea of the total
	p.Count(1, 100)
	p.Step("done")
	want := "\rvirtual-time kernel: compiled 99 % (99 of about 100 files)" +
		"\rvirtual-time kernel: compiled 1 % (1 of about 100 files)  " +
		"\nvirtual-time kernel: done\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	for _, line := range strings.FieldsFunc(b.String(), func(r rune) bool { return r < ' ' }) {
		if len(line) > 80 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}
