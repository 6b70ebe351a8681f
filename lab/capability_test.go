package lab

import "testing"

func TestCapabilityNames(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, c := range Capabilities() {
		name := c.String()
		if seen[name] {
			t.Errorf("%q names two capabilities", name)
		}
		seen[name] = true
		back, err := ParseCapability(name)
		if err != nil || back != c {
			t.Errorf("ParseCapability(%q) = %v, %v; want %v", name, back, err, c)
		}
	}
	if len(seen) != len(capabilityNames) {
		t.Errorf("%d capabilities, %d names", len(seen), len(capabilityNames))
	}
	if got := Capability(0).String(); got != "Capability(0)" {
		t.Errorf("the zero capability prints %q", got)
	}
	if _, err := ParseCapability("teleport"); err == nil {
		t.Error(`ParseCapability("teleport") is no error`)
	}
}
