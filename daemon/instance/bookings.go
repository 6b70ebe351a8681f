package instance

import "time"

// booking is a Runner's turn at some time.
type booking struct {
	at     time.Time
	runner *Runner
}

// bookings is a heap, the earliest first, each above four others. It knows the times itself: to
// look into each Runner for its own would take longer than to compare.
type bookings []booking

const branches = 4

func (b *bookings) push(one booking) {
	*b = append(*b, one)
	all := *b
	i := len(all) - 1
	for i > 0 {
		above := (i - 1) / branches
		if !one.at.Before(all[above].at) {
			break
		}
		all[i] = all[above]
		i = above
	}
	all[i] = one
}

// pop takes the first one away. There has to be one.
func (b *bookings) pop() {
	last := len(*b) - 1
	one := (*b)[last]
	(*b)[last] = booking{}
	if *b = (*b)[:last]; last > 0 {
		b.replace(one)
	}
}

// replace puts another one in place of the first. There has to be one.
func (b *bookings) replace(one booking) {
	all := *b
	i := 0
	for {
		below := i*branches + 1
		if below >= len(all) {
			break
		}
		least := below
		for j := below + 1; j < min(below+branches, len(all)); j++ {
			if all[j].at.Before(all[least].at) {
				least = j
			}
		}
		if !all[least].at.Before(one.at) {
			break
		}
		all[i] = all[least]
		i = least
	}
	all[i] = one
}
