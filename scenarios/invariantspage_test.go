package scenarios

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/faults"
)

// invariantsPage is docs/invariants.md before and after what the program's own table says.
const (
	invariantsHead = `# Invariants

What holds in every run of every drill, whatever is broken in it. Each one that means something for
a drill is judged beside the drill's own bounds, by the recorded history alone, so that a stored run
can be judged again. One that does not hold is told with its counter-example: when, who, what.

This page is made from the program's own table.

`
	excusesHead = `## What a fault excuses

While several directors are struck at once, nothing is demanded of who has what, and all of it once
they are healed. Else each kind of fault entitles to what it cannot but cost. "At first" means until
what must put it right has had its time, and again after the heal; "while it lasts" until the heal,
and then for that time. A kind that this program does not know excuses anything.

These are the rights of faults that strike a director, or that a stranger commits:

`
	serversHead = `
A fault of a client excuses its own requests, and nothing else; one of a router that a director
depends on by BFD, what that director's link-down does, and the time of a new session. One of a real server excuses what is
lost to it until its check must have seen it, and where its check cannot see it, until the heal:

`
	invariantsTail = `
## What the machine excuses

A limit on time that is broken beside a stall of the machine, and would have held but for it, says
nothing: the verdict is inconclusive. ` + "`--control`" + ` runs each drill with nothing broken first; by
what is late then, up to half a second, the limits on time are wider. On virtual time nothing is
ever late, and nothing is excused.

## What is recorded for them

| event | when it is recorded |
|---|---|
| vip-add, vip-remove | a director's kernel has a VIP, or no longer |
| state, advert-gap | a director begins or ceases to advertise, or an advert comes late |
| claim | another node, or MAC address, says that it has a VIP, by ARP or neighbour discovery: by the cable that this comes from |
| bridge | a network sends frames for a director's or virtual router's MAC address to another node |
| table | a director's IPVS table is another one than before; read every 100 ms |

## Who watches the watchers

` + "`go test ./internal/sabotage -time virtual`" + ` runs drills with directors that are broken on
purpose: a wrong skew time, no gratuitous ARP, a VIP forgotten, or kept after a stop, a dead real
server put back, and more. Each must fail by the bound or invariant that is about it, and the same
drills must pass when nothing is spoilt. ` + "`make soak-suite`" + ` repeats the latter.
`
)

// excuses are the tables of what faults entitle to.
func excuses() string {
	var page strings.Builder
	page.WriteString(excusesHead)
	page.WriteString("| faults | VIPs may move | frames may go astray | requests may be lost | " +
		"its table may be wrong | why |\n|---|---|---|---|---|---|\n")
	for _, e := range entitlements {
		if e.kinds[0].Family() == faults.Server {
			continue
		}
		fmt.Fprintf(&page, "| %s | %s | %s | %s | %s | %s |\n", listed(e.kinds), e.vips, e.way, e.requests,
			e.table, e.why)
	}
	page.WriteString(serversHead + "| faults | checks that see them |\n|---|---|\n")
	for _, v := range visible {
		checks := listed(v.checks)
		if v.page {
			checks += ", http and ssl of a page's digest"
		}
		fmt.Fprintf(&page, "| %s | %s |\n", listed(v.kinds), checks)
	}
	return page.String()
}

// listed are names with commas between.
func listed[T fmt.Stringer](all []T) string {
	var names []string
	for _, one := range all {
		names = append(names, one.String())
	}
	return strings.Join(names, ", ")
}

// TestInvariantsPage compares docs/invariants.md with the table; -update writes it.
func TestInvariantsPage(t *testing.T) {
	var page strings.Builder
	page.WriteString(invariantsHead)
	for _, r := range Invariants() {
		fmt.Fprintf(&page, "## %s\n\n%s\n\n", r.Name, r.Doc)
	}
	page.WriteString(excuses())
	page.WriteString(invariantsTail)
	const file = "../docs/invariants.md"
	if *update {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(page.String(), string(have)); diff != "" {
		t.Errorf("%s: go test ./scenarios -run TestInvariantsPage -update (-want +got):\n%s", file,
			diff)
	}
}
