package scenarios

import (
	"context"
	"crypto/md5"
	"fmt"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// checkNames are the blocks of keepalived.conf.
var checkNames = map[topology.CheckKind]string{
	topology.TCPCheck:  "TCP_CHECK",
	topology.HTTPCheck: "HTTP_GET",
	topology.SSLCheck:  "SSL_GET",
	topology.SMTPCheck: "SMTP_CHECK",
	topology.MiscCheck: "MISC_CHECK",
	topology.DNSCheck:  "DNS_CHECK",
	topology.UDPCheck:  "UDP_CHECK",
	topology.PingCheck: "PING_CHECK",
	topology.FileCheck: "FILE_CHECK",
}

// check writes the health check of a real server.
func (c *confWriter) check(k topology.Check, server string) {
	name, ok := checkNames[k.Kind]
	if !ok {
		return
	}
	c.open("%s", name)
	switch k.Kind {
	case topology.HTTPCheck, topology.SSLCheck:
		c.open("url")
		c.line("path /")
		if k.Page {
			c.line("digest %x", md5.Sum([]byte(server+"\n")))
		}
		c.line("status_code 200")
		c.close()
	case topology.SMTPCheck:
		c.line("helo_name lb.example")
	case topology.DNSCheck:
		c.line("type TXT")
		c.line("name server.example")
	case topology.UDPCheck:
		c.line("payload %x", "ping")
		c.line("require_reply %x", server+" ping")
	case topology.MiscCheck:
		c.line("misc_path \"/bin/grep -qx 0 %s\"", lab.MarkFile(server))
		c.line("misc_timeout %s", seconds(k.ConnectTimeout))
	case topology.FileCheck:
		c.line("track_file %s", server)
		c.line("weight 0") // any number but 0 is down
		c.close()
		return // it waits for nothing
	case topology.TCPCheck, topology.PingCheck:
	}
	if k.Kind != topology.MiscCheck {
		c.line("connect_timeout %s", seconds(k.ConnectTimeout))
	}
	c.line("retry %d", k.Retry)
	c.line("delay_before_retry %s", seconds(k.DelayBeforeRetry))
	c.close()
}

// trackFiles writes the files that file checks watch.
func (c *confWriter) trackFiles(t topology.Topology) {
	for _, server := range marked(t, topology.FileCheck) {
		c.open("track_file %s", server)
		c.line("file %s", lab.MarkFile(server))
		c.close()
	}
}

// marked are the real servers whose checks, of one of the kinds, read a lab.MarkFile.
func marked(t topology.Topology, kinds ...topology.CheckKind) []string {
	var servers []string
	for _, s := range t.Services {
		for _, kind := range kinds {
			if s.Check.Kind != kind {
				continue
			}
			for _, d := range s.RealServers {
				servers = append(servers, d.Node)
			}
		}
	}
	return servers
}

// writeMarks notes on every director that all is well, before it starts.
func writeMarks(ctx context.Context, l *lab.Lab) error {
	for _, server := range marked(l.Topology(), topology.MiscCheck, topology.FileCheck) {
		for _, n := range l.NodesOf(topology.Director) {
			if err := n.Mark(ctx, server, 0); err != nil {
				return fmt.Errorf("mark %s on %s: %w", server, n, err)
			}
		}
	}
	return nil
}
