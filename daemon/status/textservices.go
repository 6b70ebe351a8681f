package status

import (
	"fmt"
	"strings"
)

// services is a table of servers for each service.
func (t *text) services(all []Service) {
	for i := range all {
		s := &all[i]
		up := 0
		for _, r := range s.Servers {
			if r.Health == Up {
				up++
			}
		}
		head := strings.Join(strings.Fields(s.Protocol+" "+s.Name+" "+s.Scheduler), " ")
		quorum := ""
		if s.Health == Down {
			quorum = ", NO QUORUM"
		}
		if s.Sorry {
			quorum += ", SORRY SERVER"
		}
		t.b.WriteByte('\n')
		t.line(0, "%s: %d of %d servers up%s", head, up, len(s.Servers), quorum)
		if s.Error != "" {
			t.line(2, "kernel table is not as wanted: %s", s.Error)
		}
		t.flow(s)
		t.servers(s.Servers)
	}
}

// flow says in a few lines what a service carries and has carried.
func (t *text) flow(s *Service) {
	if f := s.Flow; f != nil && f.Connections > 0 {
		t.line(2, "now: %s/s, %s/s in, %s/s out", count(f.ConnectionRate, "connection"),
			size(f.ByteRateIn), size(f.ByteRateOut))
		t.line(2, "in all: %s, %s in, %s out", count(f.Connections, "connection"),
			size(f.BytesIn), size(f.BytesOut))
	}
	clients := 0
	for i := range s.Servers {
		clients += s.Servers[i].Persistent
	}
	if clients > 0 {
		t.line(2, "bound to a server by persistence: %s", count(uint64(clients), "client"))
	}
}

// count is a number and what it is of.
func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// size is a number of bytes in units of which it has at most three digits: 512 B, 1.5 MB.
func size(bytes uint64) string {
	const units = "kMGTPE"
	if bytes < 1000 {
		return fmt.Sprintf("%d B", bytes)
	}
	n, unit := float64(bytes), -1
	for ; n >= 999.5; unit++ {
		n /= 1000
	}
	format := "%.1f %cB"
	if n >= 9.95 {
		format = "%.0f %cB"
	}
	return fmt.Sprintf(format, n, units[unit])
}

func (t *text) servers(all []Server) {
	if len(all) == 0 {
		return
	}
	rows := [][]string{
		{"SERVER", "FORWARD", "WEIGHT", "HEALTH", "FOR", "ACTIVE", "INACTIVE", "CONN/S"}}
	for _, r := range all {
		rate := "-"
		if r.Flow != nil {
			rate = fmt.Sprint(r.Flow.ConnectionRate)
		}
		rows = append(rows, []string{
			r.Name, r.Forward, weights(&r), r.Health.String(), t.ago(r.Since), fmt.Sprint(r.Active),
			fmt.Sprint(r.Inactive), rate,
		})
	}
	t.table(2, rows, func(row int) {
		if row > 0 {
			t.server(&all[row-1])
		}
	})
}

// server writes what its row does not say.
func (t *text) server(r *Server) {
	if o := r.Override; o != nil && o.Weight == 0 {
		t.line(4, "drained by operator %s ago", t.ago(o.Since))
	} else if o != nil {
		t.line(4, "weight %d by operator, %s ago", o.Weight, t.ago(o.Since))
	}
	if r.Health != Up && r.Reason != "" {
		t.line(4, "%s", r.Reason)
	}
}

// repairs says that others change the kernel's table, if they do.
func (t *text) repairs(table *Table) {
	if table == nil || table.Repairs+table.Failures == 0 {
		return
	}
	t.b.WriteByte('\n')
	t.line(0, "kernel table: %s, %d to undo what others did, %d FAILED",
		count(table.Changes+table.Repairs, "operation"), table.Repairs, table.Failures)
}

// weights is the weight in the kernel, and the one wanted if that is another.
func weights(r *Server) string {
	word := func(w *int) string {
		if w == nil {
			return "-"
		}
		return fmt.Sprint(*w)
	}
	is, should := word(r.Weight), word(r.Wanted)
	if is == should {
		return is
	}
	return is + " of " + should
}
