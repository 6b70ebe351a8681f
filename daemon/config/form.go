package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// form is the shape of a keyword's arguments.
type form[V any] struct {
	// usage completes "expected …".
	usage string
	// parse returns the value and fits, or the index of the argument that does not fit. The index
	// after the last argument says that one is missing.
	parse func(args []Word) (V, int)
	// choices are the words to suggest one of; nil if it is not a choice.
	choices []string
}

// fits is what a form's parse returns for arguments that have its shape.
const fits = -1

// single is the form of exactly one argument.
func single[V any](usage string, parse func(string) (V, bool)) form[V] {
	return form[V]{usage: usage, parse: func(args []Word) (V, int) {
		var zero V
		if len(args) != 1 {
			return zero, min(len(args), 1)
		}
		v, ok := parse(args[0].Text)
		if !ok {
			return zero, 0
		}
		return v, fits
	}}
}

type integer interface {
	~int | ~uint8 | ~uint16 | ~uint32
}

// number is a decimal whole number, both bounds included.
func number[N integer](first, last int) form[N] {
	usage := fmt.Sprintf("a whole number from %d to %d", first, last)
	return single(usage, func(s string) (N, bool) {
		i, err := strconv.Atoi(s)
		return N(i), err == nil && first <= i && i <= last
	})
}

// seconds is a time in decimal seconds, both bounds included.
func seconds(first, last time.Duration) form[time.Duration] {
	usage := fmt.Sprintf("seconds from %s to %s", inSeconds(first), inSeconds(last))
	return single(usage, func(s string) (time.Duration, bool) {
		d, ok := parseSeconds(s)
		return d, ok && first <= d && d <= last
	})
}

// parseSeconds reads digits with at most one point, with a resolution of a nanosecond.
func parseSeconds(s string) (time.Duration, bool) {
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	d, err := time.ParseDuration(s + "s")
	return d, err == nil
}

func inSeconds(d time.Duration) string {
	s := fmt.Sprintf("%d.%09d", d/time.Second, d%time.Second)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// boolean is a truth value; the keyword alone is true.
func boolean() form[bool] {
	values := map[string]bool{
		"on": true, "true": true, "yes": true, "off": false, "false": false, "no": false,
	}
	one := single("", func(s string) (bool, bool) { v, ok := values[s]; return v, ok })
	return form[bool]{
		usage: "on or off, true or false, yes or no, or nothing",
		parse: func(args []Word) (bool, int) {
			if len(args) == 0 {
				return true, fits
			}
			return one.parse(args)
		},
		choices: []string{"on", "off", "true", "false", "yes", "no"},
	}
}

// noValue is a keyword without arguments; it gives v.
func noValue(v bool) form[bool] {
	return form[bool]{usage: "no value", parse: func(args []Word) (bool, int) {
		if len(args) > 0 {
			return false, 0
		}
		return v, fits
	}}
}

// text is one word.
func text(usage string) form[string] {
	return single(usage, func(s string) (string, bool) { return s, s != "" })
}

// oneOf is one of the words of an enumeration.
func oneOf[T comparable](n names[T]) form[T] {
	f := single("one of "+strings.Join(n.words(), ", "), n.value)
	f.choices = n.words()
	return f
}

// deviceName is a name that Linux allows for an interface (dev_valid_name).
func deviceName() form[string] {
	return single("the name of an interface", func(s string) (string, bool) {
		return s, isDevice(s)
	})
}

func isDevice(s string) bool {
	return s != "" && len(s) < 16 && s != "." && s != ".." && !strings.ContainsAny(s, "/: \t")
}

// address is an IPv4 or IPv6 address.
func address() form[netip.Addr] { return single("an IP address", parseAddr) }

func parseAddr(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a, err == nil && a.Zone() == "" && !a.Is4In6()
}

// addressPort is an address and perhaps a port, two words; without a port it is 0.
func addressPort() form[netip.AddrPort] {
	port := number[uint16](0, 65535)
	return form[netip.AddrPort]{
		usage: "an IP address and a port from 0 to 65535",
		parse: func(args []Word) (netip.AddrPort, int) {
			var none netip.AddrPort
			if len(args) == 0 {
				return none, 0
			}
			a, ok := parseAddr(args[0].Text)
			if !ok {
				return none, 0
			}
			var p uint16
			if len(args) > 1 {
				var bad int
				if p, bad = port.parse(args[1:]); bad != fits {
					return none, 1 + bad
				}
			}
			return netip.AddrPortFrom(a, p), fits
		},
	}
}

// command is a script: one word that holds the program and its arguments, and perhaps a user and a
// group. Quotes inside the word keep blanks together.
func command() form[*Script] {
	return form[*Script]{
		usage: "a command (in quotes if it has arguments), and perhaps a user and a group",
		parse: func(args []Word) (*Script, int) {
			if len(args) == 0 || len(args) > 3 {
				return nil, min(len(args), 3)
			}
			s := Script{Args: splitCommand(args[0].Text)}
			if len(s.Args) == 0 || s.Args[0] == "" {
				return nil, 0
			}
			if len(args) > 1 {
				s.Account, _ = account().parse(args[1:])
			}
			return &s, fits
		},
	}
}

// splitCommand splits at blanks that are not between quotes, single or double.
func splitCommand(s string) []string {
	var args []string
	var b strings.Builder
	var quote rune
	inWord := false
	for _, c := range s {
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote, inWord = c, true
		case quote == c:
			quote = 0
		case quote == 0 && (c == ' ' || c == '\t'):
			if inWord {
				args = append(args, b.String())
			}
			b.Reset()
			inWord = false
		default:
			b.WriteRune(c)
			inWord = true
		}
	}
	if inWord {
		args = append(args, b.String())
	}
	return args
}

// account is a user and perhaps a group.
func account() form[Account] {
	return form[Account]{
		usage: "a user and perhaps a group",
		parse: func(args []Word) (Account, int) {
			switch len(args) {
			case 0:
				return Account{}, 0
			case 1:
				return Account{User: args[0].Text}, fits
			case 2:
				return Account{args[0].Text, args[1].Text}, fits
			}
			return Account{}, 2
		},
	}
}

// hostPort is a host name or address and perhaps a port; 25 if there is none.
func hostPort() form[HostPort] {
	port := number[uint16](1, 65535)
	return form[HostPort]{
		usage: "a host and perhaps a port from 1 to 65535",
		parse: func(args []Word) (HostPort, int) {
			if len(args) == 0 {
				return HostPort{}, 0
			}
			s := HostPort{Host: args[0].Text, Port: 25}
			if len(args) > 1 {
				var bad int
				if s.Port, bad = port.parse(args[1:]); bad != fits {
					return HostPort{}, 1 + bad
				}
			}
			return s, fits
		},
	}
}
