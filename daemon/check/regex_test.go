package check_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
)

type options = check.RegexOptions

func TestRegex(t *testing.T) {
	one := func(name string) options { return options{Names: []string{name}} }
	for _, tt := range []struct {
		name    string
		text    string
		options options
		body    string
		want    int
	}{
		{"anywhere", "b+", options{}, "abbc", 1},
		{"not there", "x", options{}, "abbc", -1},
		{"empty body", "x?", options{}, "", 0},
		{"case counts", "B", options{}, "abc", -1},
		{"caseless", "B", one("caseless"), "abc", 1},
		{"^ is the start", "^b", options{}, "a\nb", -1},
		{"^ in several lines", "^b", one("multiline"), "a\nb", 2},
		{"$ before the last newline", "b$", options{}, "ab\n", 1},
		{"$ before no other newline", "a$", options{}, "a\nb\n", -1},
		{"$ not before two newlines", "b$", options{}, "ab\n\n", -1},
		{"$ within", "(a|b$)c?", options{}, "b\n", 0},
		{"$ at the end only", "b$", one("dollar_endonly"), "ab\n", -1},
		{"$ at the end", "b$", one("dollar_endonly"), "ab", 1},
		{"$ in several lines", "a$", one("multiline"), "a\nb\n", 0},
		{`\z is the end`, `b\z`, options{}, "ab\n", -1},
		{". is no newline", "a.b", options{}, "a\nb", -1},
		{". is all", "a.b", one("dotall"), "a\nb", 0},
		{"ungreedy", "^a+b?", one("ungreedy"), "aab", 0},
		{"several options", "^B.C", options{Names: []string{"caseless", "multiline", "dotall"}},
			"a\nb\nc", 2},
		{"first line", "b", one("firstline"), "ab\nb", 1},
		{"not in the first line", "b", one("firstline"), "a\nb", -1},
		{"one line is the first", "b", one("firstline"), "ab", 1},
		{"offset passes the first", "b", options{MinOffset: 2}, "abab", 3},
		{"offset at the match", "b", options{MinOffset: 1}, "ab", 1},
		{"overlapping match before the offset", "aba", options{MinOffset: 1}, "ababa", 2},
		{"offset at the end", "b", options{MinOffset: 2}, "ab", -1},
		{"offset beyond the end", "b?", options{MinOffset: 9}, "ab", -1},
		{"offset is not the start", "^b", options{MinOffset: 1}, "ab", -1},
		{"offset sees what is before it", `\bb`, options{MinOffset: 1}, "ab b", 3},
		{"offset after a newline", "^b",
			options{MinOffset: 2, Names: []string{"multiline"}}, "a\nb", 2},
		{"offset in a character", "b", options{MinOffset: 1}, "éb", 2},
		{"up to an offset", "b", options{MaxOffset: 1}, "ab", 1},
		{"beyond an offset", "b", options{MaxOffset: 1}, "aab", -1},
		{"between offsets", "b", options{MinOffset: 2, MaxOffset: 3}, "bbab", 3},
		{"not between offsets", "b", options{MinOffset: 2, MaxOffset: 3}, "bbaab", -1},
		{"bytes that are no text", "b", options{}, "\xff\xfeb", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := check.NewRegex(tt.text, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Match([]byte(tt.body)); got != tt.want {
				t.Errorf("%q matches %q at %d, want %d", r, tt.body, got, tt.want)
			}
		})
	}
}

func TestRegexErrors(t *testing.T) {
	for _, tt := range []struct {
		text    string
		options options
		want    string
	}{
		{"a(", options{}, "compile regex \"a(\": error parsing regexp: missing closing ): `a(`"},
		{`(a)\1`, options{},
			"compile regex \"(a)\\\\1\": error parsing regexp: invalid escape sequence: `\\1`"},
		{"a(?=b)", options{}, "compile regex \"a(?=b)\": error parsing regexp: " +
			"invalid or unsupported Perl syntax: `(?=`"},
		{"a", options{Names: []string{"caseless", "extended"}},
			`compile regex "a": option extended is not supported`},
		{"a", options{Names: []string{"ucp"}}, `compile regex "a": option ucp is not supported`},
		{"a", options{Names: []string{"allow_empty_class"}},
			`compile regex "a": option allow_empty_class is not supported`},
		{"a", options{Names: []string{"alt_bsux"}},
			`compile regex "a": option alt_bsux is not supported`},
		{"a", options{MinOffset: -1}, `compile regex "a": offset below 0`},
	} {
		_, err := check.NewRegex(tt.text, tt.options)
		if err == nil || err.Error() != tt.want {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
}

func TestRegexEqual(t *testing.T) {
	compile := func(text string, o options) *check.Regex {
		r, err := check.NewRegex(text, o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a := compile("a", options{})
	for _, tt := range []struct {
		name string
		b    *check.Regex
		want bool
	}{
		{"same", compile("a", options{}), true},
		{"text", compile("b", options{}), false},
		{"option", compile("a", options{Names: []string{"caseless"}}), false},
		{"no match", compile("a", options{NoMatch: true}), false},
		{"from", compile("a", options{MinOffset: 1}), false},
		{"up to", compile("a", options{MaxOffset: 1}), false},
		{"nil", nil, false},
	} {
		if got := a.Equal(tt.b); got != tt.want {
			t.Errorf("%s: equal %t, want %t", tt.name, got, tt.want)
		}
	}
	if !(*check.Regex)(nil).Equal(nil) {
		t.Error("nil is not equal to nil")
	}
}

func TestHTTPRegex(t *testing.T) {
	target := serve(t, answer("HTTP/1.0 200 OK\r\n\r\nall is well\n"))
	for _, tt := range []struct {
		name    string
		text    string
		options options
		want    string
	}{
		{"matches", "is well$", options{}, "<nil>"},
		{"does not", "is ill", options{}, `HTTP body of 12 bytes does not match "is ill"`},
		{"must not", "well", options{NoMatch: true},
			`HTTP body matches "well" at byte 7, wanted no match`},
		{"must not, and does not", "ill", options{NoMatch: true, MaxOffset: 7}, "<nil>"},
		{"not there", "all", options{MinOffset: 1, MaxOffset: 5},
			`HTTP body of 12 bytes does not match "all" from byte 1 up to byte 5`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := check.NewRegex(tt.text, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			reason := check.Pattern
			if tt.want == "<nil>" {
				reason = 0
			}
			c := check.HTTP{Target: target, Timeout: 5 * time.Second,
				URLs: []check.URL{{Path: "/", Regex: r}}}
			judge(t, c, target, c.Timeout, reason, tt.want)
		})
	}
}

// FuzzRegex finds that an offset selects among the places where the library finds matches.
func FuzzRegex(f *testing.F) {
	f.Add("a+", "baa", 1)
	f.Add("^b", "a\nb", 2)
	f.Add("(a|b$)*c?", "cab\n", 0)
	f.Fuzz(func(t *testing.T, text, body string, offset int) {
		r, err := check.NewRegex(text, options{MinOffset: offset,
			Names: []string{"dollar_endonly"}})
		if err != nil {
			return
		}
		at := r.Match([]byte(body))
		if at >= 0 && (at < offset || at > len(body)) {
			t.Errorf("match of %q at %d in %q from %d", text, at, body, offset)
		}
		plain := regexp.MustCompile(text).FindStringIndex(body)
		switch {
		case offset == 0 && plain == nil && at >= 0, offset == 0 && plain != nil && at != plain[0],
			plain == nil && at >= 0:
			t.Errorf("match of %q at %d in %q from %d, of the library at %v", text, at, body,
				offset, plain)
		}
	})
}

func TestDigestOf(t *testing.T) {
	if diff := cmp.Diff(helloDigest, check.DigestOf([]byte("hello"))); diff != "" {
		t.Errorf("digest (-want +got):\n%s", diff)
	}
}

func TestHTTPGet(t *testing.T) {
	target := serve(t, answer("HTTP/1.0 503 Busy\r\n\r\nhello"))
	c := check.HTTP{Target: target, Timeout: 5 * time.Second}
	got, err := c.Get(t.Context(), check.URL{Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	want := check.Page{Status: 503, Digest: helloDigest, Length: 5}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
	c.Target = refused(t)
	if _, err := c.Get(t.Context(), check.URL{Path: "/"}); check.ReasonOf(err) != check.Refused {
		t.Errorf("error %v, want %s", err, check.Refused)
	}
}
