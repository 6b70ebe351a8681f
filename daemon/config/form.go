package config

import (
	"fmt"
	"net/netip"
	"reflect"
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
	// words are the arguments that parse to the value: empty for the keyword alone, nil if nothing
	// does.
	words func(V) []string
	// choices are the words to suggest one of; nil if it is not a choice.
	choices []string
}

// fits is what a form's parse returns for arguments that have its shape.
const fits = -1

// single is the form of exactly one argument. format gives its word, empty if there is none.
func single[V any](
	usage string, parse func(string) (V, bool), format func(V) string,
) form[V] {
	text := func(w Word) string { return w.Text }
	if reflect.TypeFor[V]().Kind() == reflect.String {
		text = Word.kept
	}
	return form[V]{
		usage: usage,
		parse: func(args []Word) (V, int) {
			var zero V
			if len(args) != 1 {
				return zero, min(len(args), 1)
			}
			v, ok := parse(text(args[0]))
			if !ok {
				return zero, 0
			}
			return v, fits
		},
		words: func(v V) []string { return wordIfAny(format(v)) },
	}
}

func wordIfAny(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// orNothing makes the arguments of a form optional: without them it is v.
func orNothing[V comparable](f form[V], v V, usage string) form[V] {
	return form[V]{
		usage:   f.usage + ", or nothing" + usage,
		choices: f.choices,
		parse: func(args []Word) (V, int) {
			if len(args) == 0 {
				return v, fits
			}
			return f.parse(args)
		},
		words: f.words,
	}
}

type integer interface {
	~int | ~uint8 | ~uint16 | ~uint32
}

// number is a decimal whole number, both bounds included. It is written unless it is below first.
func number[N integer](first, last int) form[N] {
	usage := fmt.Sprintf("a whole number from %d to %d", first, last)
	parse := func(s string) (N, bool) { return whole[N](s, first, last) }
	return single(usage, parse, func(n N) string {
		if int(n) < first || int(n) > last {
			return ""
		}
		return strconv.Itoa(int(n))
	})
}

// whole reads a decimal whole number, and says whether it is one within the bounds.
func whole[N integer](s string, first, last int) (N, bool) {
	i, err := strconv.Atoi(s)
	return N(i), err == nil && first <= i && i <= last
}

// seconds is a time in decimal seconds, both bounds included.
func seconds(first, last time.Duration) form[time.Duration] {
	return decimal(first, last, time.Second, "seconds")
}

// decimal is a time in decimal units, both bounds included. It is written unless it is below first.
func decimal(first, last, unit time.Duration, units string) form[time.Duration] {
	usage := fmt.Sprintf("%s from %s to %s", units, inUnits(first, unit), inUnits(last, unit))
	parse := func(s string) (time.Duration, bool) {
		d, ok := parseSeconds(s)
		d /= time.Second / unit
		return d, ok && first <= d && d <= last
	}
	return single(usage, parse, func(d time.Duration) string {
		if d < first {
			return ""
		}
		return inUnits(d, unit)
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
	if d%time.Second == 0 {
		return strconv.Itoa(int(d / time.Second))
	}
	s := fmt.Sprintf("%d.%09d", d/time.Second, d%time.Second)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// inUnits does it for other units; its bounds are those of parseSeconds.
func inUnits(d, unit time.Duration) string { return inSeconds(d * (time.Second / unit)) }

var truths = map[string]bool{
	"on": true, "true": true, "yes": true, "off": false, "false": false, "no": false,
}

var truthWords = []string{"on", "off", "true", "false", "yes", "no"}

// boolean is a truth value; the keyword alone is true.
func boolean() form[bool] {
	one := single("on or off, true or false, yes or no",
		func(s string) (bool, bool) { v, ok := truths[s]; return v, ok },
		strconv.FormatBool)
	one.choices = truthWords
	return orNothing(one, true, "")
}

// switched is a truth value that may be left open.
func switched() form[Switch] {
	b := boolean()
	return form[Switch]{
		usage: b.usage, choices: b.choices,
		parse: func(args []Word) (Switch, int) {
			on, bad := b.parse(args)
			if !on {
				return SwitchOff, bad
			}
			return SwitchOn, bad
		},
		words: func(s Switch) []string {
			if s == 0 {
				return nil
			}
			return b.words(s == SwitchOn)
		},
	}
}

// noValue is a keyword without arguments; it gives v.
func noValue(v bool) form[bool] {
	return form[bool]{
		usage: "no value",
		parse: func(args []Word) (bool, int) {
			if len(args) > 0 {
				return false, 0
			}
			return v, fits
		},
		words: func(is bool) []string {
			if is != v {
				return nil
			}
			return []string{}
		},
	}
}

// text is one word.
func text(usage string) form[string] {
	return single(usage, func(s string) (string, bool) { return s, s != "" }, itself)
}

func itself(s string) string { return s }

// file is the absolute path of a file.
func file() form[string] {
	return single("an absolute path", func(s string) (string, bool) {
		return s, strings.HasPrefix(s, "/") && !strings.ContainsRune(s, 0)
	}, itself)
}

// oneOf is one of the words of an enumeration.
func oneOf[T comparable](n names[T]) form[T] {
	f := single("one of "+strings.Join(n.words(), ", "), n.value, func(v T) string {
		if w := n.name(v); w != unsetWord {
			return w
		}
		return ""
	})
	f.choices = n.words()
	return f
}

// choice is one of the words.
func choice(words ...string) form[string] {
	f := single("one of "+orList(words), func(s string) (string, bool) {
		for _, w := range words {
			if w == s {
				return s, true
			}
		}
		return "", false
	}, itself)
	f.choices = words
	return f
}

// deviceName is a name that Linux allows for an interface (dev_valid_name).
func deviceName() form[string] {
	return single("the name of an interface", func(s string) (string, bool) {
		return s, isDevice(s)
	}, itself)
}

func isDevice(s string) bool {
	return s != "" && len(s) < 16 && s != "." && s != ".." && !strings.ContainsAny(s, "/: \t")
}

// address is an IPv4 or IPv6 address.
func address() form[netip.Addr] { return single("an IP address", parseAddr, addrWord) }

func addrWord(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// multicast is a multicast address of one family.
func multicast(six bool) form[netip.Addr] {
	family := map[bool]string{false: "IPv4", true: "IPv6"}[six]
	return single("an "+family+" multicast address", func(s string) (netip.Addr, bool) {
		a, ok := parseAddr(s)
		return a, ok && a.Is6() == six && a.IsMulticast()
	}, addrWord)
}

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
		words: func(a netip.AddrPort) []string {
			if !a.IsValid() {
				return nil
			}
			return []string{a.Addr().String(), strconv.Itoa(int(a.Port()))}
		},
	}
}
