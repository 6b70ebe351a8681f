package config

import (
	"fmt"
	"strconv"
	"strings"
)

// words is first to last words, as they are. What is said of each is in usage.
func words(usage string, first, last int) form[[]string] {
	return form[[]string]{
		usage: usage,
		parse: func(args []Word) ([]string, int) {
			if len(args) < first || len(args) > last {
				return nil, min(len(args), last)
			}
			ws := []string{}
			for i, w := range args {
				if w.Text == "" {
					return nil, i
				}
				ws = append(ws, w.kept())
			}
			return ws, fits
		},
		words: func(ws []string) []string { return ws },
	}
}

// processors are numbers of processors.
func processors() form[[]int] {
	one := number[int](0, 8191)
	return form[[]int]{
		usage: "numbers of processors",
		parse: func(args []Word) ([]int, int) {
			var cs []int
			for i, w := range args {
				c, bad := one.parse([]Word{w})
				if bad != fits {
					return nil, i
				}
				cs = append(cs, c)
			}
			if len(cs) == 0 {
				return nil, 0
			}
			return cs, fits
		},
		words: func(cs []int) []string {
			var ws []string
			for _, c := range cs {
				ws = append(ws, strconv.Itoa(c))
			}
			return ws
		},
	}
}

// weight is a whole number of at most limit either way, and perhaps reverse or noreverse.
func weight(limit int) form[Weight] {
	one := number[int](-limit, limit)
	return form[Weight]{
		usage: one.usage + ", and perhaps reverse or noreverse",
		parse: func(args []Word) (Weight, int) {
			var w Weight
			if len(args) == 0 || len(args) > 2 {
				return w, min(len(args), 2)
			}
			var bad int
			if w.Value, bad = one.parse(args[:1]); bad != fits {
				return w, bad
			}
			if len(args) == 2 {
				switch args[1].Text {
				case "reverse":
					w.Reverse = true
				case "noreverse", "no_reverse":
				default:
					return w, 1
				}
			}
			return w, fits
		},
		words: func(w Weight) []string {
			ws := one.words(w.Value)
			if w.Reverse {
				ws = append(ws, "reverse")
			}
			return ws
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
		words: func(s *Script) []string {
			if s == nil {
				return nil
			}
			return append([]string{joinCommand(s.Args)}, account().words(s.Account)...)
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

// joinCommand is the inverse of splitCommand.
func joinCommand(args []string) string {
	var ws []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\"'") {
			a = "'" + strings.ReplaceAll(a, "'", `'"'"'`) + "'"
		}
		ws = append(ws, a)
	}
	return strings.Join(ws, " ")
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
				return Account{User: args[0].kept()}, fits
			case 2:
				return Account{args[0].kept(), args[1].kept()}, fits
			}
			return Account{}, 2
		},
		words: func(a Account) []string {
			switch {
			case a.User == "":
				return nil
			case a.Group == "":
				return []string{a.User}
			}
			return []string{a.User, a.Group}
		},
	}
}

// pipe is the path of a FIFO, and perhaps the user and group that own it.
func pipe() form[FIFO] {
	return form[FIFO]{
		usage: "the path of a FIFO, and perhaps a user and a group",
		parse: func(args []Word) (FIFO, int) {
			if len(args) == 0 || len(args) > 3 {
				return FIFO{}, min(len(args), 3)
			}
			path, bad := file().parse(args[:1])
			f := FIFO{Path: path}
			if len(args) > 1 {
				f.Account, _ = account().parse(args[1:])
			}
			return f, bad
		},
		words: func(f FIFO) []string {
			if f.Path == "" {
				return nil
			}
			return append([]string{f.Path}, account().words(f.Account)...)
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
			s := HostPort{Host: args[0].kept(), Port: 25}
			if len(args) > 1 {
				var bad int
				if s.Port, bad = port.parse(args[1:]); bad != fits {
					return HostPort{}, 1 + bad
				}
			}
			return s, fits
		},
		words: func(h HostPort) []string {
			if h.Host == "" {
				return nil
			}
			return []string{h.Host, strconv.Itoa(int(h.Port))}
		},
	}
}

// modeBits are the names of file mode bits, as open(2) has them without the S_.
var modeBits = map[string]uint16{
	"IRUSR": 0o400, "IWUSR": 0o200, "IXUSR": 0o100,
	"IRGRP": 0o040, "IWGRP": 0o020, "IXGRP": 0o010,
	"IROTH": 0o004, "IWOTH": 0o002, "IXOTH": 0o001,
}

// modeMask is a file mode creation mask: a number or names of bits with bars between them.
func modeMask() form[uint16] {
	return single("a number up to 0777, or bits such as IWGRP|IWOTH",
		func(s string) (uint16, bool) {
			if n, err := strconv.ParseUint(s, 0, 16); err == nil {
				return uint16(n), n <= 0o777
			}
			var mask uint16
			for bit := range strings.SplitSeq(s, "|") {
				b, ok := modeBits[strings.TrimPrefix(strings.TrimSpace(bit), "S_")]
				if !ok {
					return 0, false
				}
				mask |= b
			}
			return mask, true
		},
		func(m uint16) string { return fmt.Sprintf("%#04o", m) })
}
