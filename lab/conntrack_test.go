package lab_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/lab"
)

var _ = Describe("A table of connections", func() {
	It("that is full lets in nothing new", func(ctx SpecContext) {
		max, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max")
		if err != nil || len(strings.TrimSpace(string(max))) > 6 {
			Skip("this kernel tracks no connections, or too many to fill its table in a test")
		}
		l := up(ctx, preset("fig5"), lab.Options{})
		client, lb1 := node(l, "client1"), node(l, "lb1")
		call := func() error {
			return client.Do(ctx, func() error {
				conn, err := net.DialTimeout("tcp", "192.168.1.2:9", 300*time.Millisecond)
				if err == nil {
					conn.Close()
				}
				return err
			})
		}
		Expect(call()).To(MatchError(syscall.ECONNREFUSED))
		before, err := l.State(ctx)
		Expect(err).NotTo(HaveOccurred())
		end, err := lb1.FillConntrack(ctx, time.Millisecond)
		if err != nil && strings.Contains(err.Error(), syscall.EOPNOTSUPP.Error()) {
			Skip("this kernel has no nftables of the inet family")
		}
		Expect(err).NotTo(HaveOccurred())
		var late net.Error
		Expect(errors.As(call(), &late) && late.Timeout()).To(BeTrue())
		_, err = lb1.FillConntrack(ctx, time.Millisecond)
		Expect(err).To(MatchError(ContainSubstring("full already")))
		Expect(end(ctx)).To(Succeed())
		Expect(end(ctx)).To(Succeed(), "a second time does nothing")
		Expect(call()).To(MatchError(syscall.ECONNREFUSED))
		after, err := l.State(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(before.Diff(after)).To(BeEmpty())
	}, SpecTimeout(3*specTimeout)) // a host's table has a quarter of a million entries
})
