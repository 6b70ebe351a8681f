package ipvs

// Stats is what a service or destination has carried since it was added or last zeroed, and its
// rates. The kernel brings them up to date every 2 s (ip_vs_est.c). The counters are 64 bits wide.
type Stats struct {
	Connections           uint64
	PacketsIn, PacketsOut uint64
	BytesIn, BytesOut     uint64
	// The rates are means of the last seconds, a second: new connections, packets, bytes.
	ConnectionRate              uint64
	PacketRateIn, PacketRateOut uint64
	ByteRateIn, ByteRateOut     uint64
}

// decode reads IPVS_STATS_ATTR_ in their 64-bit form.
func (s *Stats) decode(r attributeReader) error {
	fields := [...]*uint64{
		&s.Connections, &s.PacketsIn, &s.PacketsOut, &s.BytesIn, &s.BytesOut, &s.ConnectionRate,
		&s.PacketRateIn, &s.PacketRateOut, &s.ByteRateIn, &s.ByteRateOut,
	}
	for r.next() {
		if i := int(r.typ) - 1; i >= 0 && i < len(fields) {
			*fields[i] = r.uint64()
		}
	}
	return r.err
}
