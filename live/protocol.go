package live

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// ProtocolVersion is that of what client and lab say to each other: lines of JSON, one request on a
// connection. The client says a request, then messages with input and control; the lab says
// messages with output, and last one with a result or a failure. Who hangs up before wants no more.
const ProtocolVersion = 1

// request is the first line.
type request struct {
	Version int  `json:"version"`
	Verb    verb `json:"verb"`
	// With is the request proper, such as an ExecRequest; none for some verbs.
	With json.RawMessage `json:"with,omitempty"`
}

// verb is what is asked for.
type verb string

// The verbs.
const (
	verbStatus  verb = "status"
	verbExec    verb = "exec"
	verbLog     verb = "log"
	verbCapture verb = "capture"
	verbInject  verb = "inject"
	verbHeal    verb = "heal"
	verbDown    verb = "down"
)

// message is any further line.
type message struct {
	// By the client. Input is for the program; InputEnd says that none follows.
	Input    []byte  `json:"input,omitempty"`
	InputEnd bool    `json:"input_end,omitempty"`
	Signal   int     `json:"signal,omitempty"`
	Window   *Window `json:"window,omitempty"`
	// By the lab. Taken is how many bytes of input the program has taken since the last time it was
	// said; Result or Failure is the end.
	Started bool            `json:"started,omitempty"`
	Taken   int             `json:"taken,omitempty"`
	Output  []byte          `json:"output,omitempty"`
	Errors  []byte          `json:"errors,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Failure *Failure        `json:"failure,omitempty"`
}

const (
	// maxLine bounds a line, so that who speaks something else is noticed and not stored.
	maxLine = 1 << 20
	// chunk is how many bytes of a stream go into one message.
	chunk = 32 << 10
	// inputAhead is how much input may be sent that the program has not taken: a program that takes
	// none must not keep a signal from being heard.
	inputAhead = 8 * chunk
)

// line is a connection as lines of JSON. One goroutine may hear, any may say.
type line struct {
	conn net.Conn
	in   *bufio.Scanner

	mu  sync.Mutex
	out *json.Encoder
}

func newLine(conn net.Conn) *line {
	l := &line{conn: conn, in: bufio.NewScanner(conn), out: json.NewEncoder(conn)}
	l.in.Buffer(nil, maxLine)
	return l
}

// say sends a value as one line.
func (l *line) say(v any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Encode(v)
}

// errMalformed is in the error of hear where a line has come that is none of the protocol.
var errMalformed = errors.New("malformed line")

// hear waits for a line and reads it into v. A clean end is io.EOF.
func (l *line) hear(v any) error {
	if !l.in.Scan() {
		err := l.in.Err()
		switch {
		case err == nil:
			return io.EOF
		case errors.Is(err, bufio.ErrTooLong):
			return fmt.Errorf("%w: longer than %d bytes", errMalformed, maxLine)
		}
		return err
	}
	if err := json.Unmarshal(l.in.Bytes(), v); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return nil
}

// stream is a Writer whose every Write becomes messages, at once.
type stream struct {
	line *line
	as   func(b []byte) message
}

func (s stream) Write(b []byte) (int, error) {
	for sent := 0; sent < len(b); {
		n := min(len(b)-sent, chunk)
		if err := s.line.say(s.as(b[sent : sent+n])); err != nil {
			return sent, err
		}
		sent += n
	}
	return len(b), nil
}
