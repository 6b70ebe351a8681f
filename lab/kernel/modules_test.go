package kernel

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestModuleOrder(t *testing.T) {
	const dep = `kernel/net/a.ko:
kernel/net/b-x.ko: kernel/net/a.ko
kernel/net/c.ko: kernel/net/b-x.ko kernel/net/a.ko
`
	tests := []struct {
		name string
		want []string
		out  []string
	}{
		{"what a module needs comes first", []string{"c"},
			[]string{"kernel/net/a.ko", "kernel/net/b-x.ko", "kernel/net/c.ko"}},
		{"each once", []string{"b_x", "c"},
			[]string{"kernel/net/a.ko", "kernel/net/b-x.ko", "kernel/net/c.ko"}},
		{"an unknown one is left out", []string{"ip_vs_twos", "a"}, []string{"kernel/net/a.ko"}},
		{"none", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := moduleOrder(strings.NewReader(dep), tt.want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.out, got); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWritableCover(t *testing.T) {
	tests := []struct {
		name     string
		in, want []string
	}{
		{"disjoint", []string{"/a", "/b"}, []string{"/a", "/b"}},
		{"one holds the other", []string{"/tmp/clone", "/tmp"}, []string{"/tmp"}},
		{"the same twice", []string{"/a", "/a"}, []string{"/a"}},
		{"alike names", []string{"/a", "/a-b", "/..a"}, []string{"/a", "/a-b", "/..a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, writableCover(tt.in)); diff != "" {
				t.Errorf("cover (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFramesKeepOrderAndContent(t *testing.T) {
	var line strings.Builder
	w := &frameWriter{w: &line}
	long := strings.Repeat("x", maxFrame+10)
	if _, err := w.stream(frameOutput).Write([]byte(long)); err != nil {
		t.Fatal(err)
	}
	if err := w.write(frameExit, []byte{3}); err != nil {
		t.Fatal(err)
	}
	r := strings.NewReader(line.String())
	var got strings.Builder
	for {
		kind, payload, err := readFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		if kind == frameExit {
			break
		}
		got.Write(payload)
	}
	if got.String() != long {
		t.Errorf("%d bytes arrived, want the %d written", got.Len(), len(long))
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("o\x00\x00\x00\x02hi"))
	f.Add([]byte("o\xff\xff\xff\xffhi"))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, payload, err := readFrame(strings.NewReader(string(b)))
		if err == nil && (len(b) < 5+len(payload) || frameKind(b[0]) != kind) {
			t.Errorf("read %q %q out of %q", kind, payload, b)
		}
	})
}
