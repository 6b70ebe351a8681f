package config

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// TestConfigKeepsNoText looks for strings of a Config that are pieces of the text that it was read
// from: one of them would keep all of it.
func TestConfigKeepsNoText(t *testing.T) {
	for _, file := range []string{"testdata/everything.conf", "testdata/all.conf",
		"testdata/fig7.conf"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		c, _ := buildText(file, text)
		begin := uintptr(unsafe.Pointer(unsafe.StringData(text)))
		eachString(reflect.ValueOf(c).Elem(), "Config", func(path, s string) {
			at := uintptr(unsafe.Pointer(unsafe.StringData(s)))
			if s != "" && begin <= at && at < begin+uintptr(len(text)) {
				t.Errorf("%s: %s, %q, is a piece of the text: expected a copy", file, path, s)
			}
		})
	}
}

// eachString calls f with each string in a value, and how it is reached.
func eachString(v reflect.Value, path string, f func(path, s string)) {
	switch v.Kind() {
	case reflect.String:
		f(path, v.String())
	case reflect.Struct:
		for i := range v.NumField() {
			eachString(v.Field(i), path+"."+v.Type().Field(i).Name, f)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			eachString(v.Index(i), path+"[]", f)
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			eachString(v.Elem(), path, f)
		}
	}
}

// TestAlikeSettingsAreOne looks at which real servers and checks have their settings in common.
func TestAlikeSettingsAreOne(t *testing.T) {
	const one = "real_server 192.168.2.%d 80 {\n    weight %d\n    %s\n}\n"
	var text strings.Builder
	text.WriteString("virtual_server 192.168.1.1 80 {\nprotocol TCP\n")
	for i, inside := range []string{
		"TCP_CHECK { }", "TCP_CHECK { connect_port 81 }", "TCP_CHECK { retry 3 }",
		"inhibit_on_failure\nTCP_CHECK { retry 3 }",
		"HTTP_GET { url { path /a } }", "HTTP_GET { url { path /a } }", "HTTP_GET { url { path /b } }",
		"HTTP_GET { url { path /b\nregex x } }", "HTTP_GET { url { path /b\nregex x } }",
	} {
		fmt.Fprintf(&text, one, i+1, i, inside)
	}
	text.WriteString("}\n")
	c, ds := Parse("a.conf", []byte(text.String()))
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	rs := c.VirtualServers[0].RealServers
	// Of each but the first: whether its settings, and those of its check, are those of the one
	// before.
	want := []struct{ server, check bool }{
		{true, true}, {true, false}, {false, true}, {false, false}, {true, true}, {true, false},
		{true, false}, {true, false}, // each expression has its own place
	}
	for i, w := range want {
		a, b := &rs[i], &rs[i+1]
		server := a.RealServerSettings == b.RealServerSettings
		check := a.Checks[0].CheckSettings == b.Checks[0].CheckSettings
		if server != w.server || check != w.check {
			t.Errorf("%s: settings in common %t, of its check %t; want %t, %t", b.Address, server,
				check, w.server, w.check)
		}
		if b.Weight != i+1 {
			t.Errorf("%s: weight %d, want %d", b.Address, b.Weight, i+1)
		}
	}
}
