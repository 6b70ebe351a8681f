package build

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"hash"
	"path"
	"regexp"
	"strings"
)

//go:embed options.config
var ownOptions string

//go:embed optional.config
var ownOptional string

//go:embed patches
var ownPatches embed.FS

// recipe is what makes a kernel of a source.
type recipe struct {
	// options are lines of a kernel configuration. optional are more, for those kernels that know
	// them. What neither names is off.
	options, optional string
	// patches are applied in this order.
	patches []patch
}

// patch is a unified diff with paths one directory below the root of the source (-p1).
type patch struct {
	name, text string
}

// ownRecipe is the recipe that this program carries.
func ownRecipe() (recipe, error) {
	r := recipe{options: ownOptions, optional: ownOptional}
	entries, err := ownPatches.ReadDir("patches")
	if err != nil {
		return recipe{}, fmt.Errorf("read patches: %w", err)
	}
	for _, e := range entries { // in order of their names
		if path.Ext(e.Name()) != ".patch" {
			continue
		}
		text, err := ownPatches.ReadFile(path.Join("patches", e.Name()))
		if err != nil {
			return recipe{}, fmt.Errorf("read patches: %w", err)
		}
		r.patches = append(r.patches, patch{name: e.Name(), text: string(text)})
	}
	return r, nil
}

// hashLength is the number of hexadecimal digits of a recipe's hash.
const hashLength = 12

// hash names what this recipe makes of a version of the source: kernels of the same hash are made
// of the same text.
func (r recipe) hash(version string) string {
	h := sha256.New()
	addPart(h, version)
	addPart(h, r.options)
	addPart(h, r.optional)
	for _, p := range r.patches {
		addPart(h, p.name)
		addPart(h, p.text)
	}
	return hex.EncodeToString(h.Sum(nil))[:hashLength]
}

// addPart adds a text so that no two lists of texts give the same sum.
func addPart(h hash.Hash, text string) { fmt.Fprintf(h, "%d:%s", len(text), text) }

// checksum is the sha256 of a text in hexadecimal.
func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// option is a line of a kernel configuration. Value "n" is off.
type option struct {
	name, value string
}

// unset matches the line of an option that a kernel knows and that is off.
var unset = regexp.MustCompile(`^# (CONFIG_\w+) is not set$`)

// parseOptions reads a kernel configuration in the form of .config. Options that are off are "n",
// in a comment, or, where the kernel does not know them or what they need is off, missing.
func parseOptions(config string) []option {
	var options []option
	for _, line := range strings.Split(config, "\n") {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		if ok && strings.HasPrefix(name, "CONFIG_") {
			options = append(options, option{name, value})
		}
		if m := unset.FindStringSubmatch(line); m != nil {
			options = append(options, option{m[1], "n"})
		}
	}
	return options
}

// dropped are the options of this recipe, as NAME=VALUE, that a configuration made of it does not
// have: what they need is off, or this kernel does not know them, which is no fault of an optional
// one.
func (r recipe) dropped(config string) []string {
	have := map[string]string{}
	for _, o := range parseOptions(config) {
		have[o.name] = o.value
	}
	var lost []string
	for _, o := range parseOptions(r.options) {
		value, ok := have[o.name]
		if !ok {
			value = "n"
		}
		if value != o.value {
			lost = append(lost, o.name+"="+o.value)
		}
	}
	for _, o := range parseOptions(r.optional) {
		if value, ok := have[o.name]; ok && value != o.value {
			lost = append(lost, o.name+"="+o.value)
		}
	}
	return lost
}
