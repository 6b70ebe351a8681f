package config

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	// checkIdle are the keywords of every checker that are known and change nothing yet.
	checkIdle = `bind_if fwmark log_all_failures`
	httpIdle  = `enable_sni sni_name fast_recovery tls_compliant`
	urlIdle   = `
		regex regex_no_match regex_options regex_stack regex_min_offset regex_max_offset
		tls_compliant`
)

// checkBlock is a Check while it is read.
type checkBlock struct {
	Check
	timing
	connectIP, bindIP     netip.Addr
	connectPort, bindPort uint16
	version               HTTPVersion
	urls                  []URL
}

func newCheck(r *realBlock) checkBlock { return checkBlock{timing: r.timing} }

// checkerBlocks are the blocks of a real_server that check it.
func checkerBlocks() []keyword[realBlock] {
	type b = realBlock
	checker := func(name string, inner *table[checkBlock], k CheckKind, doc string) keyword[b] {
		return nested(name, inner, newCheck, func(d *decoder, r *b, c *checkBlock, n *Node) {
			d.noArguments(n)
			if k != 0 {
				addCheck(d, r, c, k, n)
			}
		}, doc).as(isLate).as(isMany)
	}
	ks := []keyword[b]{
		checker("TCP_CHECK", tcpTable(), CheckTCP, "a connection can be made"),
		checker("HTTP_GET", httpTable("HTTP_GET"), CheckHTTP, "pages are as expected"),
		checker("SSL_GET", httpTable("SSL_GET"), 0, "the same over TLS").as(isIdle),
	}
	for _, c := range []struct{ name, own string }{
		{"MISC_CHECK", "misc_path() misc_timeout misc_dynamic user"},
		{"SMTP_CHECK", "helo_name host{}"},
		{"DNS_CHECK", "type name"},
		{"UDP_CHECK", "payload require_reply min_reply_length max_reply_length"},
		{"PING_CHECK", ""},
		{"FILE_CHECK", "track_file weight"},
		{"BFD_CHECK", "name"},
	} {
		common := `connect_ip connect_port bindto bind_port connect_timeout retry
			delay_before_retry warmup delay_loop alpha ` + checkIdle
		inner := newTable(c.name, quietWords[skipped](c.own+" "+common))
		ks = append(ks, idleBlock[b](c.name, inner).as(isLate))
	}
	return ks
}

func tcpTable() *table[checkBlock] {
	return newTable("TCP_CHECK", connectionKeywords(), idleWords[checkBlock](checkIdle))
}

func connectionKeywords() []keyword[checkBlock] {
	type b = checkBlock
	ks := []keyword[b]{
		leaf("connect_ip", "", address(), func(b *b) *netip.Addr { return &b.connectIP },
			"checks this address").as(otherwise[b]("the real server's")),
		leaf("connect_port", "", number[uint16](1, 65535),
			func(b *b) *uint16 { return &b.connectPort },
			"checks this port").as(otherwise[b]("the real server's")),
		leaf("bindto", "", address(), func(b *b) *netip.Addr { return &b.bindIP },
			"connects from this address").as(otherwise[b]("any")),
		leaf("bind_port", "", number[uint16](1, 65535),
			func(b *b) *uint16 { return &b.bindPort },
			"connects from this port").as(otherwise[b]("any")),
	}
	return append(ks, timingKeywords(nil, func(b *b) *timing { return &b.timing })...)
}

func httpTable(scope string) *table[checkBlock] {
	type b = checkBlock
	own := []keyword[b]{
		nested("url", urlTable(), func(*b) URL { return URL{} }, addURL,
			"a page to get").as(isMany),
		leaf("http_protocol", "1.0", oneOf(httpVersions),
			func(b *b) *HTTPVersion { return &b.version }, "version of the request"),
		leaf("nb_get_retry", "", number[int](0, 1000),
			func(b *b) *int { return &b.retry }, "older name of retry").
			as(otherwise[b]("as retry")),
	}
	return newTable(scope, own, connectionKeywords(), idleWords[b](httpIdle+" "+checkIdle))
}

func urlTable() *table[URL] {
	return newTable("url", []keyword[URL]{
		leaf("path", "", path(), func(u *URL) *string { return &u.Path }, "what to get"),
		leaf("digest", "", digest(), func(u *URL) *string { return &u.Digest },
			"MD5 of the page").as(otherwise[URL]("any")),
		leaf("status_code", "200-299", statusCodes(),
			func(u *URL) *[]StatusRange { return &u.Status }, "statuses that are good"),
		leaf("virtualhost", "", text("one host name"), func(u *URL) *string { return &u.Host },
			"the Host header").as(otherwise[URL]("as in the block around it")),
	}, idleWords[URL](urlIdle))
}

// path is a path that can stand in a request line.
func path() form[string] {
	return single("a path that starts with /", func(s string) (string, bool) {
		return s, strings.HasPrefix(s, "/") && !strings.ContainsAny(s, " \t\r\n")
	})
}

func digest() form[string] {
	return single("an MD5 digest of 32 hexadecimal digits", func(s string) (string, bool) {
		b, err := hex.DecodeString(s)
		return strings.ToLower(s), err == nil && len(b) == 16
	})
}

// statusCodes is one or more of CODE and FIRST-LAST.
func statusCodes() form[[]StatusRange] {
	return form[[]StatusRange]{
		usage: "status codes from 100 to 999, such as 200 or 200-299",
		parse: func(args []Word) ([]StatusRange, int) {
			var rs []StatusRange
			for i, w := range args {
				first, last, isRange := strings.Cut(w.Text, "-")
				if !isRange {
					last = first
				}
				a, errFirst := strconv.Atoi(first)
				b, errLast := strconv.Atoi(last)
				if errFirst != nil || errLast != nil || a < 100 || b < a || b > 999 {
					return nil, i
				}
				rs = append(rs, StatusRange{a, b})
			}
			if len(rs) == 0 {
				return nil, 0
			}
			return rs, fits
		},
	}
}

func addURL(d *decoder, c *checkBlock, u *URL, n *Node) {
	d.noArguments(n)
	if n.find("path") == nil {
		d.fail(n.Pos(), "url: expected a path in it")
	}
	c.urls = append(c.urls, *u)
}

// addCheck settles what does not need the addresses of the servers: see completeCheck.
func addCheck(d *decoder, r *realBlock, c *checkBlock, k CheckKind, n *Node) {
	c.Pos, c.Kind = n.Pos(), k
	c.Target = netip.AddrPortFrom(c.connectIP, c.connectPort)
	c.Bind = netip.AddrPortFrom(c.bindIP, c.bindPort)
	c.ConnectTimeout, c.DelayLoop, c.Check.Alpha = c.connectTimeout, c.delayLoop, c.alpha
	c.Retry = given(c.retry, 1)
	c.Warmup = given(c.warmup, c.delayLoop)
	c.DelayBeforeRetry = given(c.retryDelay, time.Second)
	if k == CheckHTTP {
		c.DelayBeforeRetry = given(c.retryDelay, 3*time.Second)
		c.HTTP = &HTTPCheck{Version: c.version, URLs: c.urls}
		for i := range c.urls {
			if c.urls[i].Host == "" {
				c.urls[i].Host = c.host
			}
		}
		if n.find("url") == nil {
			d.fail(n.Pos(), "%s: expected a url in it", n.Keyword())
		}
	}
	r.Checks = append(r.Checks, c.Check)
}

// given returns v, or what it is without having been given.
func given[N int | time.Duration](v, otherwise N) N {
	if v == unset {
		return otherwise
	}
	return v
}
