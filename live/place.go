package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Place is a folder in which a user's labs are found: each has a socket there, NAME.sock; a file
// that its keeper has locked, NAME.lock, with the keeper's process number and the lab's own folder
// in it; and what the keeper has said, NAME.log. The zero Place is none.
type Place struct{ dir string }

// UserPlace is the place of this user's labs: $XDG_RUNTIME_DIR/tandem, else /tmp/tandem-UID. It is
// made if it is not there. One that others can write to is an error.
func UserPlace() (Place, error) {
	dir := fmt.Sprintf("/tmp/tandem-%d", os.Getuid())
	if run := os.Getenv("XDG_RUNTIME_DIR"); run != "" {
		dir = filepath.Join(run, "tandem")
	}
	return NewPlace(dir)
}

// NewPlace is a place that is a certain folder, made if it is not there.
func NewPlace(dir string) (Place, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return Place{}, fmt.Errorf("make folder of labs: %w; set XDG_RUNTIME_DIR to a folder of yours",
			err)
	}
	var s unix.Stat_t
	if err := unix.Lstat(dir, &s); err != nil {
		return Place{}, fmt.Errorf("look at folder of labs %s: %w", dir, err)
	}
	if s.Mode&unix.S_IFMT != unix.S_IFDIR || s.Mode&0o077 != 0 || int(s.Uid) != os.Getuid() {
		return Place{}, fmt.Errorf("use folder of labs %s: it is not a folder that only you can "+
			"enter; remove it, or set XDG_RUNTIME_DIR to a folder of yours", dir)
	}
	return Place{dir}, nil
}

// namePattern is what a lab may be called.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,39}$`)

// CheckName returns why a lab cannot have a name; nil: it can.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return failure(Usage, "name lab %q: want up to 40 lower-case letters, digits, dashes and "+
			"dots, such as %q", name, "fig7")
	}
	return nil
}

func (p Place) file(name, kind string) string { return filepath.Join(p.dir, name+"."+kind) }

// LogFile is where the keeper of a lab, if it has no terminal, says what happens.
func (p Place) LogFile(name string) string { return p.file(name, "log") }

// Claim is the right to be the keeper of a lab of a name. It is lost with the process at the
// latest.
type Claim struct {
	net.Listener
	lock  *os.File
	place Place
	name  string
}

// ErrTaken is in the error of a Claim of a name that a lab has.
var ErrTaken = errors.New("a lab of that name is up")

// Claim claims a name and listens on its socket, which only this user can connect to. What a lab of
// that name has left behind that ended without a word is replaced. The caller releases the claim.
func (p Place) Claim(name string) (*Claim, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	lock, err := p.lock(name)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("claim lab %s: %w: take it down with `tandem lab down %s`, or choose "+
			"another name by --name", name, ErrTaken, name)
	}
	if err != nil {
		return nil, fmt.Errorf("claim lab %s: %w", name, err)
	}
	c := &Claim{lock: lock, place: p, name: name}
	if old := c.Folder(); old != "" { // of a keeper that has ended without a word
		if err := os.RemoveAll(old); err != nil {
			return nil, errors.Join(fmt.Errorf("claim lab %s: %w", name, err), lock.Close())
		}
	}
	if err := c.listen(); err != nil {
		return nil, errors.Join(fmt.Errorf("claim lab %s: %w", name, err), c.Release())
	}
	return c, nil
}

// lock locks the file of a name, which it makes if it is not there.
func (p Place) lock(name string) (*os.File, error) {
	for {
		f, err := os.OpenFile(p.file(name, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
			return nil, err
		}
		// Who released it has removed it: then it is nobody's who comes next.
		mine, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		there, err := os.Stat(p.file(name, "lock"))
		if err == nil && os.SameFile(mine, there) {
			return f, nil
		}
		f.Close()
	}
}

func (c *Claim) listen() error {
	if err := c.lock.Truncate(0); err != nil {
		return err
	}
	// What a keeper that ended without a word has in here is removed by who finds that out.
	folder, err := os.MkdirTemp("", "tandem-lab-")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c.lock, "%d\n%s\n", os.Getpid(), folder); err != nil {
		return err
	}
	socket := c.place.file(c.name, "sock")
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("%w (where the path is too long: set XDG_RUNTIME_DIR to a shorter one)", err)
	}
	c.Listener = l
	return os.Chmod(socket, 0o600) // nobody else can enter the folder meanwhile
}

// Folder is the lab's own folder, for what it keeps in files.
func (c *Claim) Folder() string {
	_, folder, err := c.place.keeper(c.name)
	if err != nil {
		return "" // it was just written
	}
	return folder
}

// Release gives the name back and removes what belongs to it, but for the log.
func (c *Claim) Release() error {
	if c.Listener != nil {
		c.Listener.Close() // it may be closed already
	}
	var errs []error
	if folder := c.Folder(); folder != "" {
		errs = append(errs, os.RemoveAll(folder))
	}
	for _, kind := range []string{"sock", "lock"} {
		err := os.Remove(c.place.file(c.name, kind))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, c.lock.Close())...)
}

// Names are those of the labs that are up, in alphabetical order. What others have left behind that
// ended without a word is removed.
func (p Place) Names() ([]string, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".lock")
		if !ok || CheckName(name) != nil {
			continue
		}
		if p.up(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// up says whether somebody keeps a lab of that name; if nobody does any more, what is left is
// removed.
func (p Place) up(name string) bool {
	if _, err := os.Stat(p.file(name, "lock")); err != nil {
		return false
	}
	lock, err := p.lock(name)
	if err != nil {
		return errors.Is(err, unix.EWOULDBLOCK)
	}
	left := &Claim{lock: lock, place: p, name: name}
	_ = left.Release() // what cannot be removed is noticed by who claims the name
	return false
}

// ErrNone is what Find returns where no lab is up.
var ErrNone = &Failure{Lacks, "no lab is up: start one with `tandem lab up`"}

// Find returns the lab of a name; with an empty name the only lab that is up. Its errors are of
// type *Failure where there is no such lab.
func (p Place) Find(name string) (Remote, error) {
	names, err := p.Names()
	switch {
	case err != nil:
		return Remote{}, err
	case len(names) == 0:
		return Remote{}, ErrNone
	case name == "" && len(names) > 1:
		return Remote{}, failure(Usage, "several labs are up: choose one of %s by --name",
			strings.Join(names, ", "))
	case name == "":
		name = names[0]
	case !slices.Contains(names, name):
		return Remote{}, failure(Lacks, "no lab %s is up: there is %s", name, strings.Join(names, ", "))
	}
	return NewRemote(name, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", p.file(name, "sock"))
	}), nil
}

const (
	// downLimit is how long a lab may take to be taken down before its keeper is killed.
	downLimit = 30 * time.Second
	// killLimit is how long the kernel may take to end a keeper that was killed.
	killLimit = 5 * time.Second
	// lockPoll is how often the lock of a lab is looked at that goes down.
	lockPoll = 10 * time.Millisecond
)

// Down takes a lab down and returns when its keeper has ended. One that does not answer, or does
// not end within half a minute, is killed, which ends everything in the lab too.
func (p Place) Down(ctx context.Context, r Remote) error {
	ctx, cancel := context.WithTimeout(ctx, downLimit)
	defer cancel()
	var f *Failure
	err := r.Down(ctx)
	switch {
	case err == nil, errors.As(err, &f):
		return errors.Join(err, p.awaitDown(ctx, r.Name))
	case errors.Is(err, errHungUp): // it ends before it could say so
		return p.awaitDown(ctx, r.Name)
	case !p.up(r.Name): // it has ended meanwhile
		return nil
	}
	return p.kill(r.Name)
}

// awaitDown waits until nobody keeps a lab any more, and kills who does when the context ends.
func (p Place) awaitDown(ctx context.Context, name string) error {
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for p.up(name) {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return p.kill(name)
		}
	}
	return nil
}

// kill ends the keeper of a lab by SIGKILL, and returns when it has ended.
func (p Place) kill(name string) error {
	pid, _, err := p.keeper(name)
	if err != nil {
		return fmt.Errorf("take down lab %s: %w", name, err)
	}
	keeper, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("take down lab %s: %w", name, err)
	}
	defer keeper.Release()
	if !p.up(name) { // then the number may be another's
		return nil
	}
	if err := keeper.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("take down lab %s: kill its keeper: %w", name, err)
	}
	for start := time.Now(); p.up(name); time.Sleep(lockPoll) {
		if time.Since(start) > killLimit {
			return fmt.Errorf("take down lab %s: its keeper, process %d, does not die", name, pid)
		}
	}
	return nil
}

// keeper is the process number of who keeps a lab, and the lab's folder.
func (p Place) keeper(name string) (pid int, folder string, err error) {
	text, err := os.ReadFile(p.file(name, "lock"))
	if err != nil {
		return 0, "", err
	}
	number, folder, _ := strings.Cut(string(text), "\n")
	if pid, err = strconv.Atoi(number); err != nil {
		return 0, "", fmt.Errorf("read number of its keeper: %w", err)
	}
	return pid, strings.TrimSpace(folder), nil
}
