package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// everyService has all ways in which a file can name services and servers.
const everyService = `virtual_server_group web {
    192.168.1.1-2 80
    192.168.1.9 443
    fwmark 7
}
virtual_server group web {
    protocol TCP
    lb_algo mh
    mh-port
    mh-fallback
    lb_kind DR
    real_server 192.168.1.11 80 {
        weight 2
        uthreshold 100
        lthreshold 50
    }
    real_server 192.168.1.12 80 {
        lvs_method TUN type gue port 6080 csum
    }
    real_server 192.168.1.13 81 {
        lvs_method NAT
    }
}
virtual_server 192.168.1.1 5060 {
    protocol UDP
    lb_algo rr
    ops
    persistence_timeout 120
    persistence_granularity 255.255.255.0
    real_server 192.168.1.11 5060 {
    }
}
virtual_server fwmark 8 inet6 {
    lb_algo sh
    sh-port
    real_server 2001:db8::11 80 {
        lvs_method TUN type gre
    }
    real_server 192.168.1.12 80 {
        lvs_method TUN
    }
}
virtual_server 192.168.1.1 {
    protocol TCP
    persistence_timeout 50
    lb_algo sed
    flag-1
    sorry_server 192.168.1.99
    sorry_server_lvs_method DR
    sorry_server_inhibit
    real_server 192.168.1.11 {
    }
}
`

// saved is everyService in the words of ipvsadm, as it sorts them.
const saved = `-A -t 192.168.1.1:0 -s sed -p 50 -b flag-1
-a -t 192.168.1.1:0 -r 192.168.1.11:0 -m -w 1
-a -t 192.168.1.1:0 -r 192.168.1.99:0 -g -w 0
-A -t 192.168.1.1:80 -s mh -b mh-fallback,mh-port
-a -t 192.168.1.1:80 -r 192.168.1.11:80 -g -w 2
-a -t 192.168.1.1:80 -r 192.168.1.12:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-a -t 192.168.1.1:80 -r 192.168.1.13:81 -m -w 1
-A -t 192.168.1.2:80 -s mh -b mh-fallback,mh-port
-a -t 192.168.1.2:80 -r 192.168.1.11:80 -g -w 2
-a -t 192.168.1.2:80 -r 192.168.1.12:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-a -t 192.168.1.2:80 -r 192.168.1.13:81 -m -w 1
-A -t 192.168.1.9:443 -s mh -b mh-fallback,mh-port
-a -t 192.168.1.9:443 -r 192.168.1.11:443 -g -w 2
-a -t 192.168.1.9:443 -r 192.168.1.12:443 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-a -t 192.168.1.9:443 -r 192.168.1.13:81 -m -w 1
-A -u 192.168.1.1:5060 -s rr -p 120 -M 255.255.255.0 -o
-a -u 192.168.1.1:5060 -r 192.168.1.11:5060 -m -w 1
-A -f 7 -s mh -b mh-fallback,mh-port
-a -f 7 -r 192.168.1.11:0 -g -w 2
-a -f 7 -r 192.168.1.12:0 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-a -f 7 -r 192.168.1.13:81 -m -w 1
-A -f 8 -6 -s sh -b sh-port
-a -f 8 -6 -r 192.168.1.12:0 -i -w 1 --tun-type ipip
-a -f 8 -6 -r [2001:db8::11]:0 -i -w 1 --tun-type gre --tun-nocsum
`

// tableOf is what ipvsadm finds in the node's kernel.
func tableOf(t *testing.T, node *netiftest.Node, args ...string) string {
	t.Helper()
	var out []byte
	var err error
	node.Do(func() { out, err = exec.Command("ipvsadm", args...).CombinedOutput() })
	if err != nil {
		t.Fatalf("ipvsadm: %v: %s", err, out)
	}
	return string(out)
}

// TestEveryServiceInTheKernel compares what a director makes of a file with what ipvsadm finds in
// the kernel.
func TestEveryServiceInTheKernel(t *testing.T) {
	node, _ := ipvsNode(t)
	direct(t, node, everyService)
	until(t, "the services", func() bool {
		return strings.Count(tableOf(t, node, "-S", "-n"), "\n") == strings.Count(saved, "\n")
	})
	if diff := cmp.Diff(saved, tableOf(t, node, "-S", "-n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var thresholds []string
	for line := range strings.Lines(tableOf(t, node, "-L", "-n", "--thresholds", "-f", "7")) {
		if words := strings.Fields(line); len(words) > 0 && words[0] == "->" {
			thresholds = append(thresholds, strings.Join(words[1:], " "))
		}
	}
	want := []string{"RemoteAddress:Port", "192.168.1.11:0 100 50 0 0", "192.168.1.12:0 0 0 0 0",
		"192.168.1.13:81 0 0 0 0"}
	if diff := cmp.Diff(want, thresholds); diff != "" {
		t.Errorf("thresholds (-want +got):\n%s", diff)
	}
}

// TestSuspendOnBackupInTheKernel has the address of a service with ha_suspend come and go: its
// check is only made meanwhile.
func TestSuspendOnBackupInTheKernel(t *testing.T) {
	node, _ := ipvsNode(t)
	server, err := net.Listen("tcp", "127.0.0.1:0") // checks are made in the namespace of the test
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			_ = conn.Close() // it has been counted
		}
	}()
	defer server.Close()
	r := direct(t, node, fmt.Sprintf(`virtual_server 192.168.1.1 80 {
    protocol TCP
    ha_suspend
    delay_loop 3600
    warmup 0
    real_server 192.168.1.3 80 {
        TCP_CHECK {
            connect_ip 127.0.0.1
            connect_port %d
        }
    }
}
`, server.Addr().(*net.TCPAddr).Port))
	says := func(words string, times int) func() bool {
		return func() bool { return strings.Count(r.log.String(), words) == times }
	}
	until(t, "suspended", says("suspended=true", 1))
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times on a backup", n)
	}
	eth0, vip := node.Host.Interface(netiftest.Device), netip.MustParsePrefix("192.168.1.1/32")
	if err := eth0.AddAddr(vip, time.Hour); err != nil {
		t.Fatal(err)
	}
	until(t, "resumed", says("suspended=false", 1))
	until(t, "asked", func() bool { return asked.Load() == 1 })
	if err := eth0.RemoveAddr(vip); err != nil {
		t.Fatal(err)
	}
	until(t, "suspended again", says("suspended=true", 2))
}
