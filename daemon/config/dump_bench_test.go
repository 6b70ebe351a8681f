package config

import (
	"io"
	"testing"
)

// BenchmarkWrite writes the configuration of 37,300 real servers.
func BenchmarkWrite(b *testing.B) {
	c, ds := Load(writeBench(b, scales[1].write), Options{})
	if err := ds.Err(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Write(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
