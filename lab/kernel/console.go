package kernel

import (
	"os"
	"path/filepath"
	"strings"
)

// console is a file without a name that takes what a guest's kernel prints. A file, because a kernel
// that has to wait for a reader would not do the same at every run.
type console struct{ file *os.File }

// newConsole makes the file in a directory.
func newConsole(dir string) (*console, error) {
	name := filepath.Join(dir, "console")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(name); err != nil {
		f.Close()
		return nil, err
	}
	return &console{f}, nil
}

// consoleTail is how much of the end last looks at.
const consoleTail = 16 << 10

// last returns the last n lines.
func (c *console) last(n int) string {
	info, err := c.file.Stat()
	if err != nil {
		return err.Error()
	}
	b := make([]byte, min(info.Size(), consoleTail))
	got, _ := c.file.ReadAt(b, info.Size()-int64(len(b)))
	lines := strings.Split(strings.TrimSpace(string(b[:got])), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
