package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/tandemlb/tandem/daemon"
	"github.com/tandemlb/tandem/daemon/status"
)

const (
	// statusPatience is how long a daemon may take to say how it is: one that is frozen never does.
	statusPatience = 10 * time.Second
	// statusWidth is how wide the text is that is not for a terminal.
	statusWidth = 80
)

// showStatus is --status: it asks the running daemon how it is, and writes that. It returns the
// exit status.
func showStatus(c command, stdout, stderr io.Writer) int {
	c.warn(stderr)
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	s, err := daemon.AskStatus(ctx, c.socket())
	if err == nil && c.format == formatJSON {
		err = status.JSON(stdout, s)
	} else if err == nil {
		err = status.Text(stdout, s, widthOf(stdout))
	}
	if err != nil {
		fmt.Fprintf(stderr, "tandemd: status: %v\n", err)
		return exitFatal
	}
	return exitOK
}

// widthOf is how many columns w has.
func widthOf(w io.Writer) int {
	if file, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return statusWidth
}
