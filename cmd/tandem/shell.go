package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/tandemlb/tandem/live"
)

func newLabShell(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "shell [NODE]",
		Short: "Open a prompt for a lab, or a shell on a node",
		Long: "shell without NODE opens a prompt at which a line that begins with a node's name\n" +
			"runs there, as in mininet, and others break, heal and show the lab. Lines may also\n" +
			"come from a pipe or a file: the last one's status is the exit status then.\n\n" +
			shellHelp,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := findLab(*name)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return execOn(cmd.Context(), r, shellOn(args[0]), os.Stdin)
			}
			return runShell(cmd.Context(), r)
		},
	}
}

// shellHelp is what `help` says.
const shellHelp = `  client1 curl -s http://192.168.1.1/   run a program on a node, as sh would
  client1 ping web1                     a node's name stands for its address
  lb1 sleep 60 &                        … and do not wait for it
  lb1                                   a shell on the node
  status                                nodes, VIPs, IPVS tables, faults
  fault director-frozen @master         break it; also --for 10s, --set NAME=VALUE
  fault list                            the kinds of faults, and those that hold
  heal, heal 2                          heal every fault, or one
  capture lb1:eth0 -w a.pcapng          write what passes to a file
  log lb1                               what the programs of a node have said
  exit, Ctrl-D                          leave; the lab stays up
`

// shellOn asks for a shell on a node: bash where there is one, as everybody has it, whatever a
// user's own settings do where not every file can be written.
func shellOn(node string) live.ExecRequest {
	e := live.ExecRequest{Node: node, Args: []string{"sh"}, Env: []string{"PS1=" + node + "# "}}
	if bash, err := exec.LookPath("bash"); err == nil {
		e.Args = []string{bash, "--norc"}
	}
	return e
}

// shell is the prompt of a lab.
type shell struct {
	lab   live.Remote
	nodes []live.NodeStatus
	// typed is what is typed on the terminal; nil: there is none, and programs get no input.
	typed *typist
}

// runShell carries out lines until their end, or `exit`.
func runShell(ctx context.Context, r live.Remote) error {
	status, err := r.Status(ctx)
	if err != nil {
		return failed(err)
	}
	s := &shell{lab: r, nodes: status.Nodes}
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), unix.SIGTERM, unix.SIGHUP)
	defer stop()
	if term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd())) {
		return s.converse(ctx)
	}
	var last error
	lines := bufio.NewScanner(os.Stdin)
	for ctx.Err() == nil && lines.Scan() {
		if last = s.carryOut(ctx, lines.Text()); errors.Is(last, errLeave) {
			return nil
		}
		complain(last)
	}
	var exit exitError
	if errors.As(last, &exit) {
		return exitError{exit.status, nil} // it has been said
	}
	return errors.Join(last, lines.Err())
}

// complain says what went wrong.
func complain(err error) {
	var exit exitError
	if err == nil || errors.As(err, &exit) && exit.err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "tandem:", err)
}

// converse reads lines from the terminal, with a history and completion.
func (s *shell) converse(ctx context.Context) error {
	fmt.Printf("lab %s: %s. `help` says what can be done, Ctrl-D leaves.\n", s.lab.Name,
		strings.Join(s.names(), " "))
	s.typed = newTypist(os.Stdin)
	editor := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{cancelling{s.typed.session(ctx.Done())}, os.Stdout}, s.lab.Name+"> ")
	editor.History = loadHistory()
	editor.AutoCompleteCallback = (&completer{shell: s, editor: editor}).key
	for {
		line, err := readLine(editor)
		if err != nil {
			fmt.Println()
			return nil // the input, or our time, is over
		}
		err = s.carryOut(ctx, line)
		if errors.Is(err, errLeave) {
			return nil
		}
		complain(err)
		if _, err := s.lab.Status(ctx); err != nil {
			return exitError{exitInconclusive, fmt.Errorf("leave lab %s: %w", s.lab.Name, err)}
		}
	}
}

// readLine reads one line with the terminal prepared for that, and only for that.
func readLine(editor *term.Terminal) (string, error) {
	in := int(os.Stdin.Fd())
	before, err := term.MakeRaw(in)
	if err != nil {
		return "", err
	}
	defer func() { _ = term.Restore(in, before) }()
	columns, rows, err := term.GetSize(int(os.Stdout.Fd()))
	if err == nil && columns > 0 { // some terminals do not know it
		_ = editor.SetSize(columns, rows) // else it stays as it was
	}
	line, err := editor.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, err
}

// errLeave is what comes of a line that leaves the shell.
var errLeave = errors.New("leave the shell")

// names are those of the nodes.
func (s *shell) names() []string {
	var names []string
	for _, n := range s.nodes {
		names = append(names, n.Name)
	}
	return names
}

// shellWords are the first words of lines that are not about a node, with the command of this
// program that each stands for; nil: none.
var shellWords = map[string][]string{
	"capture": {"lab", "capture"},
	"exit":    nil,
	"fault":   {"fault", "inject"},
	"heal":    {"fault", "heal"},
	"help":    nil,
	"list":    {"lab", "list"},
	"log":     {"lab", "log"},
	"quit":    nil,
	"status":  {"lab", "status"},
}

// carryOut does what a line says.
func (s *shell) carryOut(ctx context.Context, text string) error {
	text = strings.TrimSpace(text)
	first, rest, _ := strings.Cut(text, " ")
	switch {
	case text == "" || strings.HasPrefix(text, "#"):
		return nil
	case first == "exit" || first == "quit":
		return errLeave
	case first == "help":
		fmt.Print(shellHelp)
		return nil
	case slices.Contains(s.names(), first):
		return s.onNode(ctx, first, strings.TrimSpace(rest))
	}
	command, ok := shellWords[first]
	if !ok {
		return exitError{exitUsage, fmt.Errorf("%q is no node and nothing to do: the nodes are %s; "+
			"`help` says what can be done", first, strings.Join(s.names(), ", "))}
	}
	return s.command(ctx, command, strings.Fields(rest))
}

// command carries out a command of this program on the lab.
func (s *shell) command(ctx context.Context, command, args []string) error {
	if command[0] == "fault" {
		command, args = faultCommand(command, args)
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT)
	defer stop()
	root := newRoot()
	all := slices.Clone(command)
	if command[1] != "list" || command[0] == "fault" {
		all = append(all, "--name", s.lab.Name)
	}
	root.SetArgs(append(all, args...))
	return root.ExecuteContext(ctx)
}

// faultCommand allows for `fault list` and `fault heal` beside `fault KIND TARGET`.
func faultCommand(command, args []string) (changed, rest []string) {
	if len(args) == 0 && command[1] == "inject" {
		return []string{"fault", "list"}, nil
	}
	if len(args) > 0 && slices.Contains([]string{"list", "heal", "inject"}, args[0]) {
		return []string{"fault", args[0]}, args[1:]
	}
	return command, args
}

// onNode runs a line of sh on a node; an empty one is a shell there.
func (s *shell) onNode(ctx context.Context, node, line string) error {
	e := shellOn(node)
	if line != "" {
		line, e.Detach = strings.CutSuffix(line, "&")
		e.Args = []string{"sh", "-c", s.withAddresses(node, line)}
	}
	if s.typed == nil {
		return execOn(ctx, s.lab, e, nil)
	}
	done := make(chan struct{})
	defer close(done)
	return execOn(ctx, s.lab, e, s.typed.session(done))
}

// withAddresses puts, for every word behind the first that is a node's name, the address by which a
// node reaches that one: on a network of both, else its first.
func (s *shell) withAddresses(from, line string) string {
	var b strings.Builder
	for i, word := range strings.SplitAfter(line, " ") {
		name := strings.TrimRight(word, " ")
		if addr, ok := s.address(from, name); ok && i > 0 {
			word = addr + word[len(name):]
		}
		b.WriteString(word)
	}
	return b.String()
}

// address is that by which a node reaches another one; false: that is no node's name.
func (s *shell) address(from, to string) (string, bool) {
	far := s.addresses(to)
	if len(far) == 0 {
		return "", false
	}
	for _, f := range far {
		for _, near := range s.addresses(from) {
			if near.Contains(f.Addr()) {
				return f.Addr().String(), true
			}
		}
	}
	return far[0].Addr().String(), true
}

// addresses are the first ones of each interface of a node, which are its own; no such node: nil.
func (s *shell) addresses(node string) []netip.Prefix {
	var all []netip.Prefix
	for _, n := range s.nodes {
		for _, l := range n.Links {
			if n.Name == node && len(l.Addresses) > 0 {
				all = append(all, l.Addresses[0])
			}
		}
	}
	return all
}
