package snmp

import (
	"cmp"
	"slices"

	"github.com/tandemlb/tandem/daemon/snmp/agentx"
)

// part is a Tree of variables between which there are none of another part; see agentx.Tree.
type part interface {
	agentx.Tree
	// begin is the beginning of its first variable.
	begin() agentx.OID
}

// tree is parts, in the order of their beginnings.
type tree []part

func newTree(parts ...part) tree {
	slices.SortFunc(parts, func(a, b part) int { return slices.Compare(a.begin(), b.begin()) })
	return parts
}

// Get returns the value of a variable; one of no Type is that there is none.
func (t tree) Get(name agentx.OID) agentx.Value {
	for _, p := range t {
		if v := p.Get(name); v.Type != 0 {
			return v
		}
	}
	return agentx.Value{}
}

// Next returns the first variable behind name, or name itself if included is set.
func (t tree) Next(name agentx.OID, included bool) agentx.Binding {
	for _, p := range t {
		if b := p.Next(name, included); b.Value.Type != 0 {
			return b
		}
	}
	return agentx.Binding{}
}

// scalars are variables that stand alone, in the order of their names. Those of no Type are not
// there.
type scalars struct {
	prefix agentx.OID
	all    []agentx.Binding
}

func (s scalars) begin() agentx.OID { return s.prefix }

// Get is that of agentx.Tree.
func (s scalars) Get(name agentx.OID) agentx.Value {
	b := s.Next(name, true)
	if !slices.Equal(b.Name, name) {
		return agentx.Value{}
	}
	return b.Value
}

// Next is that of agentx.Tree.
func (s scalars) Next(name agentx.OID, included bool) agentx.Binding {
	i, same := slices.BinarySearchFunc(s.all, name, func(b agentx.Binding, o agentx.OID) int {
		return slices.Compare(b.Name, o)
	})
	if same && !included {
		i++
	}
	for _, b := range s.all[i:] {
		if b.Value.Type != 0 {
			return b
		}
	}
	return agentx.Binding{}
}

// column is one object of a table; of returns its value in a row, one of no Type where there is
// none.
type column[R any] struct {
	id uint32
	of func(*R) agentx.Value
}

// table is a conceptual table (RFC 2578, Section 7.1.12). Its cells are made when they are asked
// for: thousands of rows take the memory of their indices.
type table[R any] struct {
	// entry is the name of a row without column and index.
	entry   agentx.OID
	columns []column[R]
	rows    []R
	// index are the names of rows, in order.
	index []agentx.OID
}

// inOrder returns all columns in the order of their numbers.
func inOrder[R any](some ...[]column[R]) []column[R] {
	all := slices.Concat(some...)
	slices.SortFunc(all, func(a, b column[R]) int { return cmp.Compare(a.id, b.id) })
	return all
}

// newTable makes a table of rows, which it sorts by their indices. Of two with one index the first
// counts, and one without an index is left out.
func newTable[R any](
	entry agentx.OID, rows []R, index func(*R) agentx.OID, columns []column[R],
) *table[R] {
	t := &table[R]{entry: entry, columns: columns}
	order := make([]int, 0, len(rows))
	names := make([]agentx.OID, len(rows))
	for i := range rows {
		if names[i] = index(&rows[i]); len(names[i]) > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return slices.Compare(names[a], names[b]) })
	for n, i := range order {
		if n > 0 && slices.Equal(names[order[n-1]], names[i]) {
			continue
		}
		t.rows, t.index = append(t.rows, rows[i]), append(t.index, names[i])
	}
	return t
}

func (t *table[R]) begin() agentx.OID { return t.entry }

// Get is that of agentx.Tree.
func (t *table[R]) Get(name agentx.OID) agentx.Value {
	if b := t.Next(name, true); slices.Equal(b.Name, name) {
		return b.Value
	}
	return agentx.Value{}
}

// Next is that of agentx.Tree.
func (t *table[R]) Next(name agentx.OID, included bool) agentx.Binding {
	c, r := 0, 0
	switch {
	case len(name) > len(t.entry) && name.Begins(t.entry):
		c, r = t.find(name[len(t.entry):], included)
	case slices.Compare(name, t.entry) > 0:
		return agentx.Binding{}
	}
	for ; c < len(t.columns); c, r = c+1, 0 {
		for ; r < len(t.rows); r++ {
			if v := t.columns[c].of(&t.rows[r]); v.Type != 0 {
				return agentx.Binding{
					Name: t.entry.With(t.columns[c].id).With(t.index[r]...), Value: v,
				}
			}
		}
	}
	return agentx.Binding{}
}

// find returns the column and the row of the first cell that is not before rest, a column and an
// index.
func (t *table[R]) find(rest agentx.OID, included bool) (c, r int) {
	c, same := slices.BinarySearchFunc(t.columns, rest[0], func(c column[R], id uint32) int {
		return cmp.Compare(c.id, id)
	})
	if !same {
		return c, 0
	}
	r, same = slices.BinarySearchFunc(t.index, rest[1:],
		func(a, b agentx.OID) int { return slices.Compare(a, b) })
	if same && !included {
		r++
	}
	return c, r
}
