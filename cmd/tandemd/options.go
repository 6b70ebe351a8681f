package main

import (
	"fmt"
	"io"
	"strings"
)

// argument says whether an option takes a value.
type argument uint8

const (
	noArgument argument = iota + 1
	// required takes the rest of the word, or the next word.
	required
	// optional takes the rest of the word only, as in -tFILE and --config-test=FILE.
	optional
)

// option is one option of the command line. Names and shapes are keepalived's, so that its unit
// files and scripts go on working.
type option struct {
	short    byte // 0: none
	long     string
	argument argument
	// value names the value in the help.
	value, help string
	// set takes the value, empty if there is none. Nil means that the option is accepted with a
	// warning: it has no effect here.
	set func(c *command, value string) error
}

// parse reads words as getopt_long(3) does: short options may be bundled, a long one may be cut as
// long as it stays unambiguous, and -- ends the options.
func parse(table []option, words []string, c *command) error {
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		var err error
		switch {
		case word == "--":
			return noOperands(words)
		case strings.HasPrefix(word, "--"):
			words, err = parseLong(table, word[2:], words, c)
		case strings.HasPrefix(word, "-") && len(word) > 1:
			words, err = parseShort(table, word[1:], words, c)
		default:
			err = noOperands([]string{word})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func noOperands(words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("argument %q: expected an option", words[0])
	}
	return nil
}

func parseLong(table []option, word string, rest []string, c *command) ([]string, error) {
	name, value, given := strings.Cut(word, "=")
	o, err := findLong(table, name)
	if err != nil {
		return nil, err
	}
	switch {
	case given && o.argument == noArgument:
		return nil, fmt.Errorf("option --%s: expected no value", o.long)
	case !given && o.argument == required:
		if len(rest) == 0 {
			return nil, fmt.Errorf("option --%s: expected a value: %s", o.long, o.value)
		}
		value, rest = rest[0], rest[1:]
	}
	return rest, c.apply(o, "--"+o.long, value)
}

func findLong(table []option, name string) (*option, error) {
	var found *option
	for i := range table {
		o := &table[i]
		switch {
		case o.long == name:
			return o, nil
		case name == "" || !strings.HasPrefix(o.long, name):
		case found != nil:
			return nil, fmt.Errorf("option --%s: expected --%s or --%s", name, found.long, o.long)
		default:
			found = o
		}
	}
	if found == nil {
		return nil, fmt.Errorf("option --%s: unknown; see --help", name)
	}
	return found, nil
}

func parseShort(table []option, letters string, rest []string, c *command) ([]string, error) {
	for len(letters) > 0 {
		letter := letters[0]
		letters = letters[1:]
		o := findShort(table, letter)
		if o == nil {
			return nil, fmt.Errorf("option -%c: unknown; see --help", letter)
		}
		value := ""
		if o.argument != noArgument {
			value, letters = letters, ""
		}
		if o.argument == required && value == "" {
			if len(rest) == 0 {
				return nil, fmt.Errorf("option -%c: expected a value: %s", letter, o.value)
			}
			value, rest = rest[0], rest[1:]
		}
		if err := c.apply(o, "-"+string(letter), value); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func findShort(table []option, letter byte) *option {
	for i := range table {
		if table[i].short == letter && letter != 0 {
			return &table[i]
		}
	}
	return nil
}

// usageHead is what stands above the options in the help.
const usageHead = "Usage: tandemd [OPTION...]\n" +
	"       tandemd genhash [OPTION...]\n\n" +
	"A director: VRRP and virtual services from a keepalived.conf. It stays in the\n" +
	"foreground and logs to standard error, for a supervisor such as systemd\n" +
	"(Type=notify or simple). genhash --help says how to get digests of pages.\n\n"

// writeOptions lists the options under a head: first those with an effect. The writer is the
// standard output, of whose errors nobody can be told.
func writeOptions(w io.Writer, head string, table []option) {
	var effective, others strings.Builder
	for i := range table {
		o := &table[i]
		b := &effective
		if o.set == nil {
			b = &others
		}
		fmt.Fprintf(b, "  %-32s %s\n", o.synopsis(), o.help)
	}
	fmt.Fprint(w, head, effective.String())
	if others.Len() > 0 {
		fmt.Fprint(w, "\nAccepted from keepalived's command lines, without effect:\n\n", others.String())
	}
}

// synopsis is, for example, "-f, --use-file=FILE".
func (o *option) synopsis() string {
	s := "    --" + o.long
	if o.short != 0 {
		s = fmt.Sprintf("-%c, --%s", o.short, o.long)
	}
	switch o.argument {
	case required:
		return s + "=" + o.value
	case optional:
		return s + "[=" + o.value + "]"
	case noArgument:
	}
	return s
}
