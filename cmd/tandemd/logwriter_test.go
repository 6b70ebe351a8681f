package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

// TestBlockedLog writes to a pipe that nobody reads for a while: no writer waits, and what did not
// fit is counted.
func TestBlockedLog(t *testing.T) {
	read, write := io.Pipe()
	l := newLogWriter(write)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	const lines = 2000
	for range lines {
		if n, err := l.Write(line); n != len(line) || err != nil {
			t.Fatalf("write: got %d, %v", n, err)
		}
	}
	l.mu.Lock()
	size, dropped := l.size, l.dropped
	l.mu.Unlock()
	if size > maxUnwritten || dropped == 0 {
		t.Errorf("blocked: %d bytes wait, %d lines dropped; want at most %d bytes, and some lines",
			size, dropped, maxUnwritten)
	}
	said := make(chan []byte)
	go func() {
		text, _ := io.ReadAll(read) // ends when write is closed
		said <- text
	}()
	waitFor(t, "log has caught up", func() bool { return !l.pending() })
	if _, err := l.Write([]byte("after\n")); err != nil {
		t.Fatal(err)
	}
	l.Close(20 * time.Second)
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	text := <-said
	if !bytes.HasSuffix(text, []byte("after\n")) || !bytes.Contains(text, []byte(" lines lost\n")) {
		t.Errorf("log ends with %q", text[max(0, len(text)-200):])
	}
}

// TestBlockedLogIsBounded has a log whose reader takes a line when there is room for no other: the
// next line and the word of those that were lost are not more than may wait.
func TestBlockedLogIsBounded(t *testing.T) {
	l := &logWriter{wake: make(chan struct{}, 1)} // nobody reads
	line := bytes.Repeat([]byte("x"), 1024)
	write := func() {
		if n, err := l.Write(line); n != len(line) || err != nil {
			t.Fatalf("write: got %d, %v", n, err)
		}
	}
	for range maxUnwritten/len(line) + 1 {
		write()
	}
	l.next()
	write()
	if l.size > maxUnwritten || l.dropped != 2 {
		t.Errorf("after a line was read: %d bytes wait, %d lines dropped; want at most %d bytes, 2 lines",
			l.size, l.dropped, maxUnwritten)
	}
	l.next()
	write()
	if l.size > maxUnwritten || l.dropped != 0 {
		t.Errorf("after two: %d bytes wait, %d lines dropped; want at most %d bytes, no line",
			l.size, l.dropped, maxUnwritten)
	}
}

// pending says whether anything waits.
func (l *logWriter) pending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines) > 0
}

// TestBlockedLogEnds checks that a log which is never read does not keep the program.
func TestBlockedLogEnds(t *testing.T) {
	read, write := io.Pipe()
	l := newLogWriter(write)
	if _, err := l.Write([]byte("x\n")); err != nil {
		t.Fatal(err)
	}
	l.Close(time.Millisecond)
	if err := read.Close(); err != nil { // ends the goroutine
		t.Fatal(err)
	}
	<-l.ended
}
