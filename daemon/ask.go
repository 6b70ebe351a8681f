package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
)

// Question is what a director can be asked through its control socket: one line of JSON, which it
// answers with one line of JSON; then the connection ends.
type Question struct {
	// Ask is what is asked for: DoReload.
	Ask string `json:"ask"`
	// File is the configuration that the asker means, absolute; empty is whichever the director
	// runs. A director that runs another one refuses.
	File string `json:"file,omitempty"`
}

// DoReload asks to read the configuration again, and for its outcome.
const DoReload = "reload"

// Outcome is what came of a reload. Exactly one of Applied and Error is set.
type Outcome struct {
	// Applied says that the file runs now.
	Applied bool `json:"applied"`
	// Steps are what was done; nil if nothing differed.
	Steps []string `json:"steps,omitempty"`
	// Diagnostics is what there is to say about the file, one a line.
	Diagnostics string `json:"diagnostics,omitempty"`
	// Error is why nothing was changed; Invalid says that it is the file's fault.
	Error   string `json:"error,omitempty"`
	Invalid bool   `json:"invalid,omitempty"`
}

const (
	// maxQuestion and maxAnswer bound one line.
	maxQuestion = 64 << 10
	maxAnswer   = 1 << 20
)

// Ask asks the director whose control socket is at path, and waits for what comes of it until ctx
// ends. An error means that nobody answered, or not to this.
func Ask(ctx context.Context, path string, q Question) (Outcome, error) {
	var out Outcome
	line, err := exchange(ctx, path, q)
	if err == nil {
		err = json.Unmarshal(line, &out)
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("ask director at %s: %w", path, err)
	}
	return out, nil
}

// exchange sends a question and returns the line that answers it.
func exchange(ctx context.Context, path string, q Question) ([]byte, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := json.NewEncoder(conn).Encode(q); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(io.LimitReader(conn, maxAnswer)).ReadBytes('\n')
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, io.EOF):
		return nil, errors.New("it ended without an answer")
	}
	return line, err
}
