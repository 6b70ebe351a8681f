package script

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// defaultUser runs scripts that name no account, where it exists.
const defaultUser = "keepalived_script"

// Account is who runs a command. Its zero value is the account of this process.
type Account struct {
	// User is a name or a number; empty means the account of this process.
	User string
	// Group is a name or a number; empty means the user's own.
	Group string
	// Supplementary gives it the user's other groups too.
	Supplementary bool

	ids *ids // nil before it is looked up
}

// ids are an account in numbers.
type ids struct {
	uid, gid uint32
	groups   []uint32
}

// DefaultAccount returns the account of commands for which none is configured: keepalived_script if
// there is such a user, else root.
func DefaultAccount() Account {
	if _, err := user.Lookup(defaultUser); err == nil {
		return Account{User: defaultUser}
	}
	return Account{User: "root"}
}

// lookup returns the account in numbers.
func (a Account) lookup() (*ids, error) {
	if a.ids != nil {
		return a.ids, nil
	}
	found := &ids{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	var owner *user.User
	if a.User != "" {
		var err error
		if owner, err = a.lookupUser(found); err != nil {
			return nil, err
		}
	}
	if a.Group != "" {
		gid, err := lookupGroup(a.Group)
		if err != nil {
			return nil, err
		}
		found.gid = gid
	}
	found.groups = []uint32{found.gid}
	if !a.Supplementary || owner == nil {
		return found, nil
	}
	others, err := owner.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("list groups of %s: %w", a.User, err)
	}
	for _, text := range others {
		if gid, err := parseID(text); err == nil && gid != found.gid {
			found.groups = append(found.groups, gid)
		}
	}
	return found, nil
}

// lookupUser puts the user's numbers into found. The user is nil if it is only a number, which
// needs a group.
func (a Account) lookupUser(found *ids) (*user.User, error) {
	u, err := user.Lookup(a.User)
	if err != nil {
		uid, notNumber := parseID(a.User)
		if notNumber != nil {
			return nil, fmt.Errorf("look up user: %w", err)
		}
		if u, err = user.LookupId(a.User); err != nil {
			if a.Group == "" {
				return nil, fmt.Errorf("look up user: %w, and no group is named", err)
			}
			found.uid = uid
			return nil, nil
		}
	}
	uid, err1 := parseID(u.Uid)
	gid, err2 := parseID(u.Gid)
	found.uid, found.gid = uid, gid
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("look up user %s: %w", a.User, err)
	}
	return u, nil
}

func lookupGroup(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		if gid, notNumber := parseID(name); notNumber == nil {
			return gid, nil
		}
		return 0, fmt.Errorf("look up group: %w", err)
	}
	return parseID(g.Gid)
}

func parseID(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	return uint32(id), err
}

// credential returns what the kernel is to be asked for; nil if this process has it already.
func (i *ids) credential() *syscall.Credential {
	if int(i.uid) == os.Geteuid() && int(i.gid) == os.Getegid() {
		return nil
	}
	return &syscall.Credential{Uid: i.uid, Gid: i.gid, Groups: i.groups}
}
