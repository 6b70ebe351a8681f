package lab

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// rolePrefix begins the name, argument zero, of a process that plays a built-in role.
const rolePrefix = "tandem-lab:"

// Role is a small program that is part of this one: it runs on a node as a process of its own,
// without another executable.
type Role struct {
	// Name is short and unique, for example "http-probe".
	Name string
	// Run is the role's main function. Its error goes to standard error and makes the exit status
	// 1.
	Run func(args []string) error
}

// Main makes the built-in roles available. It must be the first call of a program's main, or of a
// test binary's TestMain, that starts labs. In an ordinary process it returns at once; in one that
// StartRole started it plays the role and never returns. The real server and the init are always
// among the roles.
func Main(roles ...Role) {
	name, found := strings.CutPrefix(os.Args[0], rolePrefix)
	if !found {
		return
	}
	for _, role := range append(roles, realServerRole(), initRole()) {
		if role.Name != name {
			continue
		}
		if err := role.Run(os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	fmt.Fprintf(os.Stderr, "%s: no such role in this program\n", name)
	os.Exit(2)
}

// StartRole starts a built-in role on the node: this program again, whose Main must know the role.
// The command's Name is not used; its Label, if empty, is the role's name.
func (n *Node) StartRole(ctx context.Context, role string, c Command) (*Process, error) {
	c.Name = selfExe
	c.argv0 = rolePrefix + role
	if c.Label == "" {
		c.Label = role
	}
	return n.Start(ctx, c)
}
