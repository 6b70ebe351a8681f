package track

// Counter turns results into a state:
//
//	            Rise good results in a row
//	Down ◀─────────────────────────────────▶ Up
//	            Fall bad results in a row
//
// From Unknown the first result decides alone.
type Counter struct {
	// Rise and Fall may be changed between two steps; less than 1 counts as 1.
	Rise, Fall int
	state      State
	row        int // results in a row against state
}

// NewCounter returns a Counter without results: Unknown, or Down with failed.
func NewCounter(rise, fall int, failed bool) Counter {
	c := Counter{Rise: rise, Fall: fall}
	if failed {
		c.state = Down
	}
	return c
}

// State returns where the results have led.
func (c *Counter) State() State { return c.state }

// Restart lets the next result decide alone, whatever the state.
func (c *Counter) Restart() { c.row = restart }

// restart is more results in a row than anybody asks for.
const restart = 1 << 40

// Step takes a result, and says whether the state has changed.
func (c *Counter) Step(good bool) bool {
	to, enough := Down, max(c.Fall, 1)
	if good {
		to, enough = Up, max(c.Rise, 1)
	}
	if c.state == to {
		c.row = 0
		return false
	}
	if c.row++; c.state != Unknown && c.row < enough {
		return false
	}
	c.state, c.row = to, 0
	return true
}
