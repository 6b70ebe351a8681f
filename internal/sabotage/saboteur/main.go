// The saboteur runs tandemd and spoils it: `saboteur NAME -n -l -D -f FILE`. It is for tests only.
//
// A drill takes it for a director: `tandem drill run --director "…/saboteur vip-kept" …`. It runs
// the tandemd that TANDEM_TANDEMD names, or that is beside it.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tandemlb/tandem/internal/sabotage"
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "saboteur:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

func run(args []string) (int, error) {
	if len(args) == 0 {
		return 2, fmt.Errorf("want NAME and the director's own arguments")
	}
	if args[0] == "-v" {
		fmt.Println("saboteur")
		return 0, nil
	}
	s, err := sabotage.Find(args[0])
	if err != nil {
		return 2, err
	}
	path, err := tandemd()
	if err != nil {
		return 2, err
	}
	return sabotage.Run(context.Background(), s, path, args[1:])
}

// tandemd finds the director.
func tandemd() (string, error) {
	if path := os.Getenv("TANDEM_TANDEMD"); path != "" {
		return path, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find tandemd: %w", err)
	}
	return filepath.Join(filepath.Dir(self), "tandemd"), nil
}
