package config

import (
	"encoding/hex"
	"strconv"
	"strings"
)

func httpKeywords() []keyword[checkBlock] {
	type b = checkBlock
	inner := urlTable()
	retries := leaf("retry", "", number[int](0, 1000),
		func(b *b) *int { return &b.retry }, "").alias("nb_get_retry")
	ks := []keyword[b]{
		nested("url", inner, zero[b, URL], addURL, "a page to get").as(isMany).
			as(writes(inner, zero[b, URL], func(b *b) []URL { return b.http.URLs }, nil)),
		leaf("http_protocol", "1.0", oneOf(httpVersions),
			func(b *b) *HTTPVersion { return &b.http.Version }, "version of the request"),
		retries,
		leaf("enable_sni", "off", boolean(), func(b *b) *bool { return &b.http.SNI },
			"names the host in the TLS handshake"),
		leaf("sni_name", "", text("one host name"), func(b *b) *string { return &b.http.SNIName },
			"that name").as(otherwise[b]("virtualhost")),
		leaf("tls_compliant", "off", boolean(), func(b *b) *bool { return &b.http.TLSCompliant },
			"wants TLS sessions to be ended as they should"),
	}
	return append(ks, needless("each attempt asks for all pages, and one good attempt is enough",
		leaf("fast_recovery", "off", boolean(), func(b *b) *bool { return &b.http.FastRecovery },
			"does not check the other pages again after one that failed"))...)
}

func urlTable() *table[URL] {
	ks := []keyword[URL]{
		leaf("path", "", path(), func(u *URL) *string { return &u.Path }, "what to get").
			as(otherwise[URL]("none: it must be given")),
		leaf("digest", "", digest(), func(u *URL) *string { return &u.Digest },
			"MD5 of the page").as(otherwise[URL]("any")),
		leaf("status_code", "200-299", statusCodes(),
			func(u *URL) *[]StatusRange { return &u.Status }, "statuses that are good"),
		leaf("virtualhost", "", text("one host name"), func(u *URL) *string { return &u.Host },
			"the Host header").as(otherwise[URL]("as in the block around it")),
	}
	regex := leaf("regex", "", text("a regular expression"),
		func(u *URL) *string { return &u.Regex }, "the page matches it").
		as(otherwise[URL]("anything"))
	regex.script = true
	read := regex.set
	regex.set = func(d *decoder, u *URL, n *Node) {
		read(d, u, n)
		u.RegexPos = n.Pos()
	}
	offset := func(name string, at func(*URL) *int, doc string) keyword[URL] {
		return leaf(name, "0", number[int](0, 1<<31-1), at, doc)
	}
	return newTable("url", ks, []keyword[URL]{
		regex,
		leaf("regex_no_match", "off", boolean(), func(u *URL) *bool { return &u.RegexNoMatch },
			"the page does not match it"),
		leaf("regex_options", "", words("names of options of PCRE", 1, 100),
			func(u *URL) *[]string { return &u.RegexOptions }, "how it matches"),
		offset("regex_min_offset", func(u *URL) *int { return &u.MinOffset },
			"first byte at which it may match"),
		offset("regex_max_offset", func(u *URL) *int { return &u.MaxOffset },
			"last byte at which it may match; 0 is any"),
		leaf("tls_compliant", "off", boolean(), func(u *URL) *bool { return &u.TLSCompliant },
			"wants TLS sessions to be ended as they should"),
	}, needless("the search needs no stack",
		leaf("regex_stack", "", words("two numbers of bytes", 2, 2),
			func(u *URL) *[]string { return &u.Stack }, "stack of PCRE: at the start, at most")))
}

// path is a path that can stand in a request line.
func path() form[string] {
	return single("a path that starts with /", func(s string) (string, bool) {
		return s, strings.HasPrefix(s, "/") && !strings.ContainsAny(s, " \t\r\n")
	}, itself)
}

func digest() form[string] {
	return single("an MD5 digest of 32 hexadecimal digits", func(s string) (string, bool) {
		b, err := hex.DecodeString(s)
		return strings.ToLower(s), err == nil && len(b) == 16
	}, itself)
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
		words: func(rs []StatusRange) []string {
			var ws []string
			for _, r := range rs {
				ws = append(ws, strconv.Itoa(r.First)+"-"+strconv.Itoa(r.Last))
			}
			return ws
		},
	}
}

func addURL(d *decoder, c *checkBlock, u *URL, n *Node) {
	d.noArguments(n)
	if n.find("path") == nil {
		d.fail(n.Pos(), "url: expected a path in it")
	}
	c.http.URLs = append(c.http.URLs, *u)
}

// settleHTTP hands down the host, and checks that there is something to get.
func (d *decoder) settleHTTP(c *checkBlock, n *Node) {
	for i := range c.http.URLs {
		if c.http.URLs[i].Host == "" {
			c.http.URLs[i].Host = c.host
		}
	}
	if n.find("url") == nil {
		d.fail(n.Pos(), "%s: expected a url in it", n.Keyword())
	}
	c.HTTP = shared(d.lastCheck(c.Kind).HTTP, &c.http)
}
