package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/live"
	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

// upOptions are the flags of `tandem lab up`.
type upOptions struct {
	topology, director, name, kernel string
	foreground                       bool
}

func (o *upOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.topology, "topology", "t", "preset:fig7",
		"a topology file, or preset:NAME ("+strings.Join(topology.Presets(), ", ")+")")
	f.StringVar(&o.director, "director", "tandemd", "tandemd, keepalived or a command")
	f.StringVar(&o.name, "name", "", "what to call the lab (default the topology's name)")
	f.StringVar(&o.kernel, "kernel", "", "auto, host or uml (default $TANDEM_KERNEL, else auto)")
}

func newLabUp() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring a lab up and leave it running",
		Long: "up builds a network, starts its directors and real servers, and returns when they\n" +
			"are at work. The lab goes on in the background until `tandem lab down`; every\n" +
			"terminal of yours can use it. Where this kernel lacks IPVS, or you are not root,\n" +
			"it runs in a User Mode Linux guest. Several labs may be up at once, under\n" +
			"different names.",
		Args: byTopologyFlag,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := o.load()
			if err != nil {
				return err
			}
			if o.foreground {
				say := func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), text) }
				return l.keep(cmd.Context(), say, func() {
					say(l.greeting() + "\nIt goes down with Ctrl-C.")
				})
			}
			return l.launch(cmd.Context(), cmd)
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.foreground, "foreground", false,
		"stay, say what happens, and take the lab down on Ctrl-C")
	return cmd
}

// byTopologyFlag refuses arguments, and says how a topology is given.
func byTopologyFlag(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	given := args[0]
	if slices.Contains(topology.Presets(), given) {
		given = "preset:" + given
	}
	return fmt.Errorf("%s: %q: a topology is given by a flag: -t %s", cmd.CommandPath(), args[0], given)
}

// readyDescriptor is where a keeper in the background says, by one byte, that its lab is up.
const readyDescriptor = 3

// newLabKeep is what `tandem lab up` starts in the background, and in a guest.
func newLabKeep() *cobra.Command {
	var o upOptions
	var inside bool
	cmd := &cobra.Command{
		Use:    "keep",
		Short:  "Keep a lab up; `tandem lab up` calls it",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := o.load()
			if err != nil {
				return err
			}
			if inside {
				return l.keepInside(cmd.Context())
			}
			ready := os.NewFile(readyDescriptor, "ready")
			syscall.CloseOnExec(readyDescriptor)
			return l.keep(cmd.Context(), sayOnStderr, func() {
				_, _ = ready.Write([]byte{1}) // who waited may be gone, and the lab is up all the same
				ready.Close()
			})
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&inside, "inside", false,
		"this is the guest; requests come by standard input")
	return cmd
}

func sayOnStderr(text string) { fmt.Fprintln(os.Stderr, text) }

// labToBe is a lab that is about to be brought up.
type labToBe struct {
	upOptions
	network topology.Topology
	program scenarios.Director
	lacking error // why it cannot be in this kernel; nil: it can
}

// load reads and finds what the flags name, and decides which kernel the lab will be in.
func (o upOptions) load() (labToBe, error) {
	l := labToBe{upOptions: o}
	mode, err := kernelMode(o.kernel)
	if err != nil {
		return l, err
	}
	if l.network, err = loadTopology(o.topology); err != nil {
		return l, exitError{exitInconclusive, err}
	}
	if l.name == "" {
		l.name = l.network.Name
	}
	if err := live.CheckName(l.name); err != nil {
		return l, err
	}
	if l.program, err = scenarios.FindDirector(o.director); err != nil {
		return l, exitError{exitInconclusive, err}
	}
	switch {
	case mode == kernel.UML && !kernel.InGuest():
		l.lacking = errors.New("you asked for it")
	default:
		l.lacking = lackingHere(l.network)
	}
	if l.lacking != nil && (mode == kernel.Host || kernel.InGuest()) {
		return l, exitError{exitInconclusive, l.lacking}
	}
	return l, nil
}

// lackingHere is a *kernel.MissingError of what this kernel lacks for a network; nil: nothing.
func lackingHere(t topology.Topology) error {
	lack := kernel.Probe(scenarios.Needs(scenarios.Scenario{Topology: t}))
	lack = slices.DeleteFunc(lack, func(f kernel.Finding) bool { return f.OK })
	if len(lack) == 0 {
		return nil
	}
	return &kernel.MissingError{Kernel: "host", Findings: lack}
}

// place says where the lab will be.
func (l labToBe) place() string {
	var missing *kernel.MissingError
	switch {
	case l.lacking == nil:
		return "on this kernel"
	case errors.As(l.lacking, &missing):
		var names []string
		for _, f := range missing.Findings {
			if f.Name == lab.Root.String() { // then the rest follows
				return "in a guest kernel, for you are not root in this one"
			}
			names = append(names, f.Name)
		}
		return "in a guest kernel, for this one lacks " + strings.Join(names, ", ")
	}
	return "in a guest kernel"
}

// greeting is what is said when the lab is up.
func (l labToBe) greeting() string {
	return fmt.Sprintf("lab %s is up: %s %s", l.name, l.program.Name, l.place())
}

// keep keeps the lab up until a client has it taken down, or the context ends. It calls ready when
// the lab is up.
func (l labToBe) keep(ctx context.Context, say func(string), ready func()) error {
	place, err := live.UserPlace()
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	claim, err := place.Claim(l.name)
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	if l.lacking != nil {
		err = l.keepInGuest(ctx, claim, ready)
	} else {
		err = l.keepHere(ctx, claim, say, ready)
	}
	if err == nil {
		err = os.Remove(place.LogFile(l.name)) // what it says is worth keeping only where it went wrong
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // there is a terminal
		}
	}
	return errors.Join(err, claim.Release())
}

// keepHere keeps the lab in this kernel, with its requests from a listener.
func (l labToBe) keepHere(
	ctx context.Context, claim *live.Claim, say func(string), ready func(),
) error {
	server, err := l.up(ctx, claim.Folder(), say)
	if err != nil {
		return err
	}
	ready()
	if err := server.Serve(ctx, claim); err != nil {
		return exitError{exitInternal, err}
	}
	return nil
}

// keepInside is the guest's part of a lab in a guest: requests come by standard input, and answers
// go to standard output.
func (l labToBe) keepInside(ctx context.Context) error {
	server, err := l.up(ctx, "", sayOnStderr)
	if err != nil {
		return err
	}
	line, err := live.Answering(live.Pipes(os.Stdin, os.Stdout))
	if err != nil {
		return errors.Join(err, server.Close())
	}
	if err := server.Serve(ctx, line); err != nil {
		return exitError{exitInternal, err}
	}
	return nil
}

// up brings the lab up in this kernel, with its files in a folder; empty: one of its own.
func (l labToBe) up(
	ctx context.Context, folder string, say func(string),
) (*live.Server, error) {
	o := live.Options{Name: l.name, Topology: l.network, Director: l.program, Kernel: live.OnHost,
		Folder: folder, Say: say}
	if kernel.InGuest() {
		o.Kernel = live.InGuest
	}
	here, err := live.Up(ctx, o)
	if err != nil {
		return nil, exitError{exitInconclusive, err}
	}
	return &live.Server{Lab: here, Close: here.Close}, nil
}

// arguments are those of a keeper of the lab.
func (l labToBe) arguments(more ...string) []string {
	return append([]string{"lab", "keep", "--name", l.name, "--topology", l.topology,
		"--director", l.director, "--kernel", l.kernel}, more...)
}

// keepInGuest is the host's part of a lab in a guest: it hands on requests and answers.
func (l labToBe) keepInGuest(ctx context.Context, claim *live.Claim, ready func()) error {
	input, toGuest := io.Pipe()
	fromGuest, output := io.Pipe()
	line, err := live.Asking(live.Pipes(fromGuest, toGuest))
	if err != nil {
		return exitError{exitInternal, err}
	}
	defer line.Close()
	g := kernel.Guest{Args: l.arguments("--inside"), Stdin: input, Stdout: output, Stderr: os.Stderr,
		Writable: writableHere()}
	ctx, ended := context.WithCancel(ctx)
	defer ended()
	end := make(chan error, 1)
	go func() {
		// Signals are handed on to the guest, which then takes the lab down: they must not end it.
		status, err := g.Run(context.WithoutCancel(ctx))
		if err == nil && status != exitPass {
			err = exitError{status, nil} // it has said why
		}
		end <- err
		ended()
		output.Close()
		claim.Close()
	}()
	if _, err := live.RemoteOver(l.name, line).Status(ctx); err != nil && ctx.Err() == nil {
		_ = unix.Kill(os.Getpid(), unix.SIGTERM) // to the guest, which is of no use
		return errors.Join(exitError{exitInternal, err}, <-end)
	} else if err == nil {
		ready()
	}
	live.Relay(claim, line)
	if err := <-end; err != nil {
		var exit exitError
		if errors.As(err, &exit) {
			return err
		}
		return exitError{exitInconclusive, err}
	}
	return nil
}

// writableHere are the directories that a lab in a guest may change: the working directory. That of
// the whole machine is not for it.
func writableHere() []string {
	dir, err := os.Getwd()
	if err != nil || dir == "/" {
		return nil
	}
	return []string{dir}
}

// launch starts a keeper in the background and waits until its lab is up.
func (l labToBe) launch(ctx context.Context, cmd *cobra.Command) error {
	place, err := live.UserPlace()
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	names, err := place.Names()
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	if slices.Contains(names, l.name) {
		return exitError{exitInconclusive, fmt.Errorf("lab %s is up already: take it down with "+
			"`tandem lab down %s`, or choose another name by --name", l.name, l.name)}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "bringing lab %s up %s …\n", l.name, l.place())
	k, err := startKeeper(l.arguments(), place.LogFile(l.name))
	if err != nil {
		return exitError{exitInternal, err}
	}
	status, err := k.await(ctx)
	said, _ := os.ReadFile(place.LogFile(l.name)) // nothing is what it says then
	fmt.Fprint(cmd.ErrOrStderr(), string(said))
	if err != nil {
		return exitError{exitInternal, err}
	}
	if status != exitPass {
		return exitError{status, nil}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "lab %s is up. What next:\n%s", l.name, l.advice())
	return nil
}

// advice are the next things to do, in 80 columns.
func (l labToBe) advice() string {
	const form = "  %-54s %s\n"
	return fmt.Sprintf(form, "tandem lab status", "what it is doing") +
		fmt.Sprintf(form, "tandem lab shell", "a prompt; `help` there") +
		fmt.Sprintf(form, "tandem fault inject director-frozen @master --for 10s", "break it") +
		fmt.Sprintf(form, "tandem lab down", "take it down")
}

// keeper is a keeper that was started in the background.
type keeper struct {
	cmd   *exec.Cmd
	ready *os.File
}

// startKeeper starts this program anew, apart from this terminal, with what it says in a log.
func startKeeper(args []string, logFile string) (*keeper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	defer log.Close()
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	k := &keeper{cmd: exec.Command(self, args...), ready: ours}
	k.cmd.Stdout, k.cmd.Stderr = log, log
	k.cmd.ExtraFiles = []*os.File{theirs}
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := k.cmd.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("start keeper: %w", err)
	}
	return k, nil
}

// await waits until the keeper's lab is up, and returns 0, or until the keeper ends, and returns
// its exit status. The end of the context ends the keeper.
func (k *keeper) await(ctx context.Context) (int, error) {
	defer k.ready.Close()
	stop := context.AfterFunc(ctx, func() { _ = k.cmd.Process.Signal(unix.SIGTERM) })
	defer stop()
	if n, _ := k.ready.Read(make([]byte, 1)); n == 1 {
		return exitPass, k.cmd.Process.Release()
	}
	err := k.cmd.Wait()
	status := k.cmd.ProcessState.ExitCode()
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed) && status > 0:
		return status, nil
	case err != nil:
		return exitInternal, fmt.Errorf("bring lab up: its keeper ended: %w", err)
	}
	return exitInconclusive, errors.New("bring lab up: interrupted")
}
