package config

import (
	"bytes"
	"io"
)

// placeKeywords are the keywords that say where the daemon runs: Namespace.Network and Instance.
var placeKeywords = [][]byte{[]byte("net_namespace"), []byte("instance")}

// further are what may bring text that is not in the file itself: includes, and variables.
var further = [][]byte{[]byte("include"), []byte("$")}

// MayNamePlace says whether a file's text may name a Namespace.Network or an Instance, or bring
// text from elsewhere that does. It asks less than Load, and of a large file far less: false is
// sure, true is to be looked at by Load. The error is that of reading.
func MayNamePlace(r io.Reader) (bool, error) {
	const overlap = len("net_namespace") // longer than any of the words, and the byte before one
	buf := make([]byte, overlap, 32<<10)
	for {
		n, err := r.Read(buf[overlap:cap(buf)])
		if namesPlace(buf[:overlap+n]) {
			return true, nil
		}
		switch {
		case err == io.EOF:
			return false, nil
		case err != nil:
			return false, err
		}
		copy(buf[:overlap], buf[n:overlap+n]) // what is cut in two is looked at as a whole
	}
}

// namesPlace looks at a piece of the text, whose first byte was looked at already. One that is a
// part of another word counts, but not the end of vrrp_instance and its like.
func namesPlace(text []byte) bool {
	for _, word := range further {
		if bytes.Contains(text, word) {
			return true
		}
	}
	for _, word := range placeKeywords {
		for at := 1; ; at += len(word) {
			i := bytes.Index(text[at:], word)
			if i < 0 {
				break
			}
			if at += i; text[at-1] != '_' {
				return true
			}
		}
	}
	return false
}
