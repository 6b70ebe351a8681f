package faults_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
)

var _ = Describe("a fault of the kernel's state", func() {
	const service = `ipvsadm -A -t 192.168.1.1:80 -s wrr -p 60 &&
		ipvsadm -a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 3 -x 10 -y 5 &&
		ipvsadm -a -t 192.168.1.1:80 -r 192.168.2.12:80 -g && ipvsadm -A -f 7 -s sh`
	const save = "ipvsadm -Sn"

	It("flushes IPVS, and puts back what nobody does", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		refuses(ctx, w.lab, faults.IPVSFlushed, "lb1", "no virtual service")
		Expect(run(ctx, w.lb1, service)).To(BeEmpty())
		full := run(ctx, w.lb1, save)
		heal := w.inject(ctx, faults.IPVSFlushed, "lb1", nil)
		Expect(run(ctx, w.lb1, save)).To(BeEmpty())
		w.healed(ctx, heal)
		Expect(run(ctx, w.lb1, save)).To(Equal(full))
		Expect(run(ctx, w.lb1, "ipvsadm -Ln --thresholds")).To(MatchRegexp(`192.168.2.11:80 +10 +5`))
	})

	It("leaves an IPVS table alone that somebody has filled", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		Expect(run(ctx, w.lb1, service)).To(BeEmpty())
		heal := w.inject(ctx, faults.IPVSFlushed, "lb1", nil)
		Expect(run(ctx, w.lb1, "ipvsadm -A -t 192.168.1.9:80 -s rr")).To(BeEmpty())
		Expect(heal(ctx)).To(Succeed())
		Expect(run(ctx, w.lb1, save)).To(Equal("-A -t 192.168.1.9:80 -s rr"))
	})

	It("deletes a route", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		for _, to := range []string{"0.0.0.0", "192.168.1.1"} {
			heal := w.inject(ctx, faults.RouteDeleted, "web1:"+to, nil)
			Expect(w.web1.Routes()).To(HaveLen(1), "that of its network")
			w.healed(ctx, heal)
		}
		heal := w.inject(ctx, faults.RouteDeleted, "lb1:192.168.2.11", nil)
		Expect(dial(ctx, w.lb1, "192.168.2.11:9")).To(MatchError(unix.ENETUNREACH))
		w.healed(ctx, heal)
	})

	It("leaves a route alone that somebody has added", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		heal := w.inject(ctx, faults.RouteDeleted, "web1:0.0.0.0", nil)
		Expect(run(ctx, w.web1, "ip route add default via 192.168.2.1")).To(BeEmpty())
		w.healed(ctx, heal)
	})

	It("fills the table of connections", func(ctx SpecContext) {
		if f := kernel.Probe([]lab.Capability{lab.Nftables})[0]; !f.OK {
			Skip("this kernel lacks " + f.Name + ": " + f.Reason)
		}
		w := newWorld(ctx, "")
		Expect(dial(ctx, w.client1, "192.168.1.2:9")).To(MatchError(unix.ECONNREFUSED))
		heal := w.inject(ctx, faults.ConntrackFull, "lb1", faults.Settings{"known": "1ms"})
		Expect(isTimeout(dial(ctx, w.client1, "192.168.1.2:9"))).To(BeTrue())
		w.healed(ctx, heal)
		Expect(dial(ctx, w.client1, "192.168.1.2:9")).To(MatchError(unix.ECONNREFUSED))
	})

	It("poisons a neighbour", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		Expect(dial(ctx, w.client1, "192.168.1.2:9")).To(MatchError(unix.ECONNREFUSED))
		heal := w.inject(ctx, faults.NeighbourPoisoned, "client1:192.168.1.2", nil)
		Expect(isTimeout(dial(ctx, w.client1, "192.168.1.2:9"))).To(BeTrue())
		refuses(ctx, w.lab, faults.NeighbourPoisoned, "client1:192.168.1.2", "already")
		w.healed(ctx, heal)
		Expect(dial(ctx, w.client1, "192.168.1.2:9")).To(MatchError(unix.ECONNREFUSED))
	})
})

var _ = Describe("a fault of the configuration", func() {
	const good = "vrrp_instance a {\n\tvirtual_router_id 51\n}\nvirtual_server {\n}\n"

	DescribeTable("has the director load a file that is broken",
		func(ctx SpecContext, what string, bad func(text string) bool) {
			w := newWorld(ctx, reader)
			file := filepath.Join(w.dir, "lb1.conf")
			Expect(os.WriteFile(file, []byte(good), 0o600)).To(Succeed())
			heal := w.inject(ctx, faults.ConfigBroken, "lb1", faults.Settings{"what": what})
			text, err := os.ReadFile(file)
			Expect(err).NotTo(HaveOccurred())
			Expect(bad(string(text))).To(BeTrue(), "%q", text)
			Eventually(last).WithContext(ctx).WithArguments(w.director).
				Should(Equal(fmt.Sprintf("loads %d", len(text))))
			w.healed(ctx, heal)
			Eventually(last).WithContext(ctx).WithArguments(w.director).
				Should(Equal(fmt.Sprintf("loads %d", len(good))))
			Expect(os.ReadFile(file)).To(BeEquivalentTo(good))
		},
		Entry(nil, "typo", func(s string) bool { return strings.Contains(s, "id x51") }),
		Entry(nil, "unclosed", func(s string) bool { return strings.HasSuffix(s, "server {\n") }),
		Entry(nil, "half", func(s string) bool { return len(s) == len(good)/2 }),
		Entry(nil, "empty", func(s string) bool { return s == "" }),
		Entry(nil, "noise", func(s string) bool { return strings.Contains(s, "\x00") }),
	)
})
