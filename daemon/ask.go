package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/tandemlb/tandem/daemon/status"
)

// Question is what a director can be asked through its control socket: one line of JSON, which it
// answers with JSON; then the connection ends.
type Question struct {
	// Ask is what is asked for: DoReload, DoOverride or TellStatus.
	Ask string `json:"ask"`
	// Server is the real server that DoOverride is about, as VIRTUAL/REAL.
	Server string `json:"server,omitempty"`
	// Weight is what DoOverride gives it, from 0, which drains it; nil undoes that.
	Weight *int `json:"weight,omitempty"`
	// File is the configuration that the asker means, absolute; empty is whichever the director
	// runs. A director that runs another one refuses.
	File string `json:"file,omitempty"`
}

// What can be asked for.
const (
	// DoReload asks to read the configuration again, and for its outcome, one line. It waits for a
	// reload under way.
	DoReload = "reload"
	// DoOverride asks to give a real server the weight of an operator, in place of what the
	// configuration and its checks say, or to undo that. Its outcome is one step.
	DoOverride = "override"
	// TellStatus asks for a status.Snapshot, as status.JSON writes it, and waits for nothing.
	TellStatus = "status"
)

// Outcome is what came of a question. Exactly one of Applied and Error is set.
type Outcome struct {
	// Applied says that it is done: the file runs now, or the weight is as asked for.
	Applied bool `json:"applied"`
	// Steps are what was done; nil if nothing differed.
	Steps []string `json:"steps,omitempty"`
	// Diagnostics is what there is to say about the file, one a line.
	Diagnostics string `json:"diagnostics,omitempty"`
	// Error is why nothing was changed; Invalid says that it is the fault of the file, or of what
	// was asked.
	Error   string `json:"error,omitempty"`
	Invalid bool   `json:"invalid,omitempty"`
}

const (
	// maxQuestion and maxAnswer bound one line.
	maxQuestion = 64 << 10
	maxAnswer   = 1 << 20
	// maxStatus bounds a snapshot; it is more than that of a million real servers.
	maxStatus = 1 << 30
)

// Ask asks the director whose control socket is at path, and waits for what comes of it until ctx
// ends. An error means that nobody answered, or not to this.
func Ask(ctx context.Context, path string, q Question) (Outcome, error) {
	var out Outcome
	line, err := exchange(ctx, path, q, maxAnswer)
	if err == nil {
		err = json.Unmarshal(line, &out)
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("ask director at %s: %w", path, err)
	}
	return out, nil
}

// AskStatus asks the director whose control socket is at path how it is. An error means that nobody
// answered before ctx ended, or not to this.
func AskStatus(ctx context.Context, path string) (*status.Snapshot, error) {
	answer, err := exchange(ctx, path, Question{Ask: TellStatus}, maxStatus)
	var out Outcome
	if err == nil && json.Unmarshal(answer, &out) == nil && out.Error != "" {
		err = errors.New(out.Error)
	}
	var s *status.Snapshot
	if err == nil {
		s, err = status.Read(bytes.NewReader(answer))
	}
	if err != nil {
		return nil, fmt.Errorf("ask director at %s: %w", path, err)
	}
	return s, nil
}

// exchange sends a question and returns the answer, which ends with a newline and is no longer than
// limit.
func exchange(ctx context.Context, path string, q Question, limit int64) ([]byte, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := json.NewEncoder(conn).Encode(q); err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, limit))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil && !bytes.HasSuffix(answer, []byte("\n")):
		return nil, errors.New("it ended without an answer")
	}
	return answer, err
}
