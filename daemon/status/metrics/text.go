package metrics

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tandemlb/tandem/daemon/status"
)

// contentType is that of the text format.
//
// Source: https://prometheus.io/docs/instrumenting/exposition_formats/.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// put takes one value of a metric, with the values of its labels in their order.
type put func(value float64, labels ...string)

// family is a metric with all its labels' values. One that has no value is not written.
type family struct {
	name, kind, help string
	labels           []string
	each             func(s *status.Snapshot, put put)
}

func counter(name, help string, each func(*status.Snapshot, put), labels ...string) family {
	return family{"tandem_" + name + "_total", "counter", help, labels, each}
}

func gauge(name, help string, each func(*status.Snapshot, put), labels ...string) family {
	return family{"tandem_" + name, "gauge", help, labels, each}
}

// escapes are those of labels' values, and of help, which has no quotes around it.
var escapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// write writes the families' values of a snapshot. It returns the error of w.
func write(w io.Writer, s *status.Snapshot, all []family) error {
	out := bufio.NewWriterSize(w, 32<<10)
	var line []byte
	for i := range all {
		f := &all[i]
		begun := false
		f.each(s, func(value float64, labels ...string) {
			line = line[:0]
			if !begun {
				begun = true
				line = f.appendHead(line)
			}
			line = f.appendValue(line, value, labels)
			_, _ = out.Write(line) // Flush returns the error
		})
	}
	return out.Flush()
}

func (f *family) appendHead(b []byte) []byte {
	b = append(append(append(append(b, "# HELP "...), f.name...), ' '), f.help...)
	b = append(append(append(append(b, "\n# TYPE "...), f.name...), ' '), f.kind...)
	return append(b, '\n')
}

// appendValue appends the line of one value. Text that is not UTF-8, which would spoil the whole
// scrape, is mended.
func (f *family) appendValue(b []byte, value float64, labels []string) []byte {
	b = append(b, f.name...)
	before := byte('{')
	for i, label := range f.labels {
		b = append(append(append(b, before), label...), `="`...)
		b = append(append(b, escapes.Replace(strings.ToValidUTF8(labels[i], "?"))...), '"')
		before = ','
	}
	if len(f.labels) > 0 {
		b = append(b, '}')
	}
	return append(strconv.AppendFloat(append(b, ' '), value, 'g', -1, 64), '\n')
}

// truth is 1 or 0.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds is t since 1970, 0 if it is not known.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
