package reports

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWriteDetails(t *testing.T) {
	full := whole()
	full.Measures = append(full.Measures, Measure{Name: "a measure with a long name",
		Value: strings.Repeat("word ", 30)})
	for name, r := range map[string]Report{"full": full, "failed": failed(), "soak": soakReport(),
		"none": New(Recording{}, nil, nil)} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := WriteDetails(&b, r, 80, false); err != nil {
				t.Fatal(err)
			}
			golden(t, "details-"+name+".txt", b.String())
			for line := range strings.Lines(b.String()) {
				n := utf8.RuneCountInString(line) - 1
				if n > 80 && !strings.Contains(line, r.Recording.Command) {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			if err := WriteDetails(broken{}, r, 80, false); !errors.Is(err, errBroken) {
				t.Errorf("error %v, want the writer's", err)
			}
		})
	}
}
