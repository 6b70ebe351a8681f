package bus

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Director is what the bus serves. Its functions are called by any goroutine, several at a time.
type Director struct {
	// Instances returns those that there are now.
	Instances func() []Instance
	// PrintData and PrintStats write keepalived's files, Reload reads the configuration again, and
	// Announce announces the VIPs of an instance if it is master. Each returns what came of it.
	PrintData, PrintStats, Reload func(context.Context) error
	Announce                      func(instance string) error
}

// objects are those of a Director: what package dbus calls a handler.
type objects struct {
	ctx context.Context
	*Director
	withInterface bool
}

// all returns the paths of all objects; of the director's the instance is nil.
func (o *objects) all() map[string]*Instance {
	all := map[string]*Instance{directorPath: nil}
	instances := o.Instances()
	for i := range instances {
		all[string(instances[i].Path(o.withInterface))] = &instances[i]
	}
	return all
}

// LookupObject returns the object of a path; one on the way to others has no interface of its own.
func (o *objects) LookupObject(path dbus.ObjectPath) (dbus.ServerObject, bool) {
	all := o.all()
	here, there := all[string(path)]
	x := &object{objects: o, instance: here, isDirector: path == directorPath}
	prefix := strings.TrimSuffix(string(path), "/") + "/"
	for p := range all {
		if rest, below := strings.CutPrefix(p, prefix); below {
			name, _, _ := strings.Cut(rest, "/")
			x.below = append(x.below, name)
		}
	}
	slices.Sort(x.below)
	x.below = slices.Compact(x.below)
	return x, there || len(x.below) > 0
}

// object is one of them, at the moment of a call.
type object struct {
	*objects
	isDirector bool
	instance   *Instance
	below      []string // names under it
}

// LookupInterface returns one of the interfaces of the object.
func (x *object) LookupInterface(name string) (dbus.Interface, bool) {
	ms := methods{}
	if name == "" || name == introspectable {
		ms["Introspect"] = method{0, func([]string) ([]any, error) {
			return []any{x.introspect()}, nil
		}}
	}
	if name == "" || name == properties {
		maps.Copy(ms, x.properties())
	}
	if x.isDirector && (name == "" || name == directorInterface) {
		maps.Copy(ms, x.director())
	}
	if x.instance != nil && (name == "" || name == instanceInterface) {
		ms["SendGarp"] = action(func() error { return x.Announce(x.instance.Name) })
	}
	return ms, len(ms) > 0
}

// director are the methods of the director's interface.
func (x *object) director() methods {
	return methods{
		"PrintData":    action(func() error { return x.PrintData(x.ctx) }),
		"PrintStats":   action(func() error { return x.PrintStats(x.ctx) }),
		"ReloadConfig": action(func() error { return x.Reload(x.ctx) }),
		"PrintStatsClear": action(func() error {
			return dbus.NewError("org.freedesktop.DBus.Error.NotSupported",
				[]any{"counters count from the start of the daemon: expected PrintStats"})
		}),
	}
}

// values are the properties of the object in an interface; nil if it has none.
func (x *object) values(of string) map[string]dbus.Variant {
	if x.instance == nil || of != instanceInterface {
		return nil
	}
	s := x.instance.State
	// keepalived has the name in a structure, whatever its interface file says.
	return map[string]dbus.Variant{
		"Name": dbus.MakeVariant(struct{ Name string }{x.instance.Name}),
		"State": dbus.MakeVariant(struct {
			Number uint32
			Word   string
		}{uint32(s), s.String()}),
	}
}

// properties are the methods that read properties. None can be set.
func (x *object) properties() methods {
	return methods{
		"Get": {2, func(args []string) ([]any, error) {
			v, there := x.values(args[0])[args[1]]
			if !there {
				return nil, dbus.NewError("org.freedesktop.DBus.Error.UnknownProperty",
					[]any{fmt.Sprintf("property %s of %s: not there", args[1], args[0])})
			}
			return []any{v}, nil
		}},
		"GetAll": {1, func(args []string) ([]any, error) {
			all := x.values(args[0])
			if all == nil {
				all = map[string]dbus.Variant{}
			}
			return []any{all}, nil
		}},
		"Set": {-1, func([]string) ([]any, error) {
			return nil, dbus.NewError("org.freedesktop.DBus.Error.PropertyReadOnly",
				[]any{"no property can be set"})
		}},
	}
}

// introspect returns what the object has, in the format of the bus.
func (x *object) introspect() string {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"` +
		"\n" + ` "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">` + "\n<node>\n")
	has := func(name string, parts ...string) {
		fmt.Fprintf(&b, "  <interface name=%q>\n", name)
		for _, p := range parts {
			b.WriteString("    " + p + "\n")
		}
		b.WriteString("  </interface>\n")
	}
	plain := func(kind string, names ...string) (parts []string) {
		for _, n := range names {
			parts = append(parts, fmt.Sprintf("<%s name=%q/>", kind, n))
		}
		return parts
	}
	if x.isDirector {
		has(directorInterface, append(
			plain("method", "PrintData", "PrintStats", "PrintStatsClear", "ReloadConfig"),
			plain("signal", "VrrpStarted", "VrrpReloaded", "VrrpStopped")...)...)
	}
	if x.instance != nil {
		has(instanceInterface, `<method name="SendGarp"/>`,
			`<signal name="VrrpStatusChange"><arg type="u" name="status"/></signal>`,
			`<property type="(s)" name="Name" access="read"/>`,
			`<property type="(us)" name="State" access="read"/>`)
		has(properties, `<method name="Get"><arg type="s" name="interface" direction="in"/>`+
			`<arg type="s" name="name" direction="in"/>`+
			`<arg type="v" name="value" direction="out"/></method>`,
			`<method name="GetAll"><arg type="s" name="interface" direction="in"/>`+
				`<arg type="a{sv}" name="values" direction="out"/></method>`)
	}
	has(introspectable,
		`<method name="Introspect"><arg type="s" name="data" direction="out"/></method>`)
	for _, name := range x.below {
		fmt.Fprintf(&b, "  <node name=%q/>\n", name)
	}
	b.WriteString("</node>\n")
	return b.String()
}

// methods are those of an interface, by name.
type methods map[string]method

// LookupMethod returns the method of a name.
func (m methods) LookupMethod(name string) (dbus.Method, bool) {
	one, ok := m[name]
	return one, ok
}

// method is called with that many strings; -1 is anything, which it is not told.
type method struct {
	args int
	call func(args []string) ([]any, error)
}

// action is a method without arguments and results.
func action(do func() error) method {
	return method{0, func([]string) ([]any, error) { return nil, do() }}
}

// DecodeArguments is that of dbus.ArgumentDecoder.
func (m method) DecodeArguments(_ *dbus.Conn, _ string, _ *dbus.Message, body []any) ([]any, error) {
	if m.args < 0 {
		return nil, nil
	}
	if len(body) != m.args {
		return nil, dbus.ErrMsgInvalidArg
	}
	for _, a := range body {
		if _, ok := a.(string); !ok {
			return nil, dbus.ErrMsgInvalidArg
		}
	}
	return body, nil
}

// Call is that of dbus.Method.
func (m method) Call(args ...any) ([]any, error) {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a.(string) // DecodeArguments has seen to it
	}
	return m.call(words)
}

// The rest of dbus.Method, which nobody asks for beside DecodeArguments.

// NumArguments is that of dbus.Method.
func (m method) NumArguments() int { return max(m.args, 0) }

// NumReturns is that of dbus.Method.
func (m method) NumReturns() int { return 0 }

// ArgumentValue is that of dbus.Method.
func (m method) ArgumentValue(int) any { return "" }

// ReturnValue is that of dbus.Method.
func (m method) ReturnValue(int) any { return "" }
