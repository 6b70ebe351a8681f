package daemon

import (
	"fmt"
	"net"
	"testing"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestManagersOfServicesInTheKernel has managers read a service with its real server, and what the
// kernel counts for them, and be told when the server goes down, and the quorum with it.
func TestManagersOfServicesInTheKernel(t *testing.T) {
	node, peer := netiftest.Pair(t)
	needIPVS(t, node)
	needSNMP(t)
	server, err := net.Listen("tcp", "127.0.0.1:0") // checks are made in the namespace of the test
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	m := newMaster(t, node, peer, 1161)
	heard := m.heard()
	serve(t, node, fmt.Sprintf(`global_defs {
    enable_snmp_checker
    enable_traps
    snmp_socket %s
    snmp_vs_stats_update_interval 1
}
virtual_server 192.168.1.2 80 {
    protocol TCP
    lb_algo wlc
    delay_loop 1
    warmup 0
    retry 0
    snmp_name web
    real_server 192.168.1.9 8080 {
        weight 3
        TCP_CHECK {
            connect_ip 127.0.0.1
            connect_port %d
        }
    }
}
`, m.socket, server.Addr().(*net.TCPAddr).Port))
	const services, servers = keepalivedMIB + ".3.3.1", keepalivedMIB + ".3.4.1"
	m.says(keepalivedMIB+".3", services+".2.1 = INTEGER: 2",
		services+".6.1 = Hex-STRING: C0 A8 01 02 ", services+".7.1 = Gauge32: 80",
		services+".9.1 = INTEGER: 4", services+".11.1 = INTEGER: 1", services+".21.1 = Gauge32: 1",
		services+".23.1 = INTEGER: 1", services+`.71.1 = STRING: "web"`,
		servers+".4.1.1 = Hex-STRING: C0 A8 01 09 ", servers+".6.1.1 = INTEGER: 1",
		servers+".7.1.1 = INTEGER: 3", servers+".14.1.1 = Gauge32: 0")
	peer.Do(func() {
		conn, err := net.DialTimeout("tcp", "192.168.1.2:80", patience/100)
		if err == nil { // nobody is there to answer
			t.Error("connected to nobody")
			_ = conn.Close()
		}
	})
	m.says(keepalivedMIB+".3", services+".27.1 = Gauge32: 1", services+".38.1 = Counter64: 1",
		servers+".14.1.1 = Gauge32: 1", servers+".15.1.1 = Gauge32: 1")
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	m.says(keepalivedMIB+".3", services+".21.1 = Gauge32: 0", services+".23.1 = INTEGER: 2",
		servers+".6.1.1 = INTEGER: 2", servers+".13.1.1 = Gauge32: 1")
	trapped(t, heard, "OID: "+keepalivedMIB+".3.5.0.1", servers+".6.1.1 = INTEGER: 2",
		services+".20.1 = Gauge32: 1")
	trapped(t, heard, "OID: "+keepalivedMIB+".3.5.0.2", services+".23.1 = INTEGER: 2")
}
