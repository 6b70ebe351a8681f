package status

import (
	"encoding/json"
	"fmt"
	"io"
)

// JSON writes s as one indented object. Times are as in RFC 3339, states and health in words;
// what is empty is left out, but never a counter.
func JSON(w io.Writer, s *Snapshot) error {
	full := *s
	full.Schema = Schema
	full.Conditions = s.worstFirst()
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(&full); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// Read reads what JSON wrote. A Schema that is not ours is an error.
func Read(r io.Reader) (*Snapshot, error) {
	var s Snapshot
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return nil, fmt.Errorf("read status: %w", err)
	}
	if s.Schema != Schema {
		return nil, fmt.Errorf("read status: schema %d, expected %d", s.Schema, Schema)
	}
	return &s, nil
}
