package config

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

func TestMayNamePlace(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"nothing", "", false},
		{"others", "vrrp_instance a {\n}\nbfd_instance b {\n}\nglobal_defs {\n}\n", false},
		{"namespace", "global_defs {\n}\nnet_namespace red\n", true},
		{"namespace of IPVS", "net_namespace_ipvs red\n", true},
		{"instance", "instance a\n", true},
		{"instance after others", "vrrp_instance a {\n}\n instance a\n", true},
		{"instance for one id", "@main instance a\n", true},
		{"include", "include /etc/more.conf\n", true},
		{"variable", "$A=net_name\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Wherever the words are cut in two.
			for blanks := range 40 {
				text := strings.Repeat("\n", 32<<10-60+blanks) + tt.text
				got, err := MayNamePlace(strings.NewReader(text))
				if err != nil || got != tt.want {
					t.Fatalf("after %d lines: got %t, %v, want %t", blanks, got, err, tt.want)
				}
			}
			got, err := MayNamePlace(iotest.OneByteReader(strings.NewReader(tt.text)))
			if err != nil || got != tt.want {
				t.Errorf("byte by byte: got %t, %v, want %t", got, err, tt.want)
			}
		})
	}
}

func TestMayNamePlaceOfNothingReadable(t *testing.T) {
	broken := errors.New("broken")
	if _, err := MayNamePlace(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("error: got %v, want %v", err, broken)
	}
}

// TestPlaceIsNamed checks the words against the language.
func TestPlaceIsNamed(t *testing.T) {
	for _, text := range []string{"net_namespace red\n", "instance a\n"} {
		c, ds := Parse("file", []byte(text))
		if ds.Err() != nil || c.Global.Namespace == (Namespace{}) {
			t.Errorf("%q: got %+v, %v, want a place", text, c.Global.Namespace, ds)
		}
		if may, err := MayNamePlace(strings.NewReader(text)); err != nil || !may {
			t.Errorf("%q: got %t, %v, want true", text, may, err)
		}
	}
}
