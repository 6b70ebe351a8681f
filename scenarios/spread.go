package scenarios

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scheduler"
	"github.com/tandemlb/tandem/topology"
)

const (
	// level is how often a statistical bound fails a scheduler that is right: never again for the same
	// addresses, because schedulers that hash choose by them alone.
	level = 0.001
	// power is how often it has to fail one that treats all real servers alike where it must not.
	power = 0.9
)

// SharesFit demands that the first connections of the run, one of each client's address, are spread as
// expected says, by Pearson's chi-square test. There must be enough of them to see that the spread is
// that of other; see sampleFor. It is a check beside Predicted, which knows each choice: a model and a
// kernel that are wrong in the same way do not pass it.
func SharesFit(expected, other map[string]float64) Bound {
	need := sampleFor(expected, other, level, power)
	return Bound{
		Name: "spread",
		Doc: fmt.Sprintf("Clients are spread as the weights say, by a chi-square test at the level %g. "+
			"It takes %d of them to notice with a probability of %g that weights are not heeded.", level,
			need, power),
		Judge: func(rec *reports.Recording, _ time.Duration) reports.Finding {
			counts, n := countFirst(firstRound(rec))
			statistic := chiSquare(counts, expected, n)
			p := distuv.ChiSquared{K: float64(len(expected) - 1)}.Survival(statistic)
			f := reports.Finding{Verdict: reports.Pass, Limit: fmt.Sprintf("p at least %g", level),
				Observed: fmt.Sprintf("chi-square %.2f, p = %.3f, of %d", statistic, p, n),
				Detail:   sharesInWords(counts, expected, n)}
			switch {
			case n < need:
				f.Verdict = reports.Inconclusive
			case p < level:
				f.Verdict = reports.Fail
			}
			return f
		},
	}
}

// sharesOf are the shares of the real servers of a topology's first service by their weights, or
// equal ones.
func sharesOf(t topology.Topology, equal bool) map[string]float64 {
	sum, shares := 0, map[string]float64{}
	for _, d := range t.Services[0].RealServers {
		sum += d.Weight
	}
	for _, d := range t.Services[0].RealServers {
		shares[d.Node] = float64(d.Weight) / float64(sum)
		if equal {
			shares[d.Node] = 1 / float64(len(t.Services[0].RealServers))
		}
	}
	return shares
}

// firstRound are the calls before the table first changed: all, where it never did.
func firstRound(rec *reports.Recording) []reports.Call { return rounds(rec)[0] }

// rounds parts the calls at each step that rearranges.
func rounds(rec *reports.Recording) [][]reports.Call {
	var cuts []time.Duration
	for _, w := range reports.Steps(rec) {
		if strings.HasPrefix(w.Name, rearrangeStep) {
			cuts = append(cuts, w.From)
		}
	}
	all := [][]reports.Call{nil}
	for _, c := range rec.Calls {
		for len(cuts) > 0 && cuts[0] <= c.Opened {
			all, cuts = append(all, nil), cuts[1:]
		}
		all[len(all)-1] = append(all[len(all)-1], c)
	}
	return all
}

// countFirst counts the real servers of the first call of each client's address, and the addresses.
func countFirst(calls []reports.Call) (map[string]int, int) {
	counts, seen := map[string]int{}, map[netip.Addr]bool{}
	for _, c := range calls {
		if addr := c.From.Addr(); !seen[addr] {
			seen[addr] = true
			counts[c.Server]++
		}
	}
	return counts, len(seen)
}

// chiSquare is Pearson's statistic: that of a real server that was not expected is infinite.
func chiSquare(counts map[string]int, expected map[string]float64, n int) float64 {
	sum := 0.0
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		want := expected[name] * float64(n)
		sum += (float64(counts[name]) - want) * (float64(counts[name]) - want) / want
	}
	for name := range counts {
		if expected[name] == 0 {
			return math.Inf(1)
		}
	}
	return sum
}

func sharesInWords(counts map[string]int, expected map[string]float64, n int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		parts = append(parts, fmt.Sprintf("%s %d, expected %.1f", name, counts[name],
			expected[name]*float64(n)))
	}
	return strings.Join(parts, "; ")
}

// sampleFor is how many draws it takes to tell shares from other ones with a power by the test at a
// level. With these the statistic has a noncentral chi-square distribution, which is a mixture
// of central ones by Poisson's.
func sampleFor(expected, other map[string]float64, level, power float64) int {
	effect := 0.0
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		share := expected[name]
		effect += (other[name] - share) * (other[name] - share) / share
	}
	k := float64(len(expected) - 1)
	critical := distuv.ChiSquared{K: k}.Quantile(1 - level)
	for n := 1; ; n++ {
		terms := distuv.Poisson{Lambda: float64(n) * effect / 2}
		seen := 0.0
		for j := range int(terms.Lambda+10*math.Sqrt(terms.Lambda)) + 30 {
			seen += terms.Prob(float64(j)) *
				distuv.ChiSquared{K: k + 2*float64(j)}.Survival(critical)
		}
		if seen >= power {
			return n
		}
	}
}

// Remapped demands of a run in which one real server leaves between its first two rounds that, of
// the clients that another one served before, as many go to yet another one after as the theory says:
// the share of all addresses that there are, by the scheduler's model, with what chance adds to it
// for so few.
func Remapped(t topology.Topology, gone string) Bound {
	return Bound{
		Name: "clients moved",
		Doc: fmt.Sprintf("When %s leaves, as many clients of the other real servers move as the theory "+
			"of %s says.", gone, t.Services[0].Scheduler),
		Judge: func(rec *reports.Recording, _ time.Duration) reports.Finding {
			f := reports.Finding{Verdict: reports.Inconclusive}
			parts := rounds(rec)
			if len(parts) < 2 {
				f.Detail = "nothing was rearranged"
				return f
			}
			moved, stayed := movedIn(parts[0], parts[1], gone)
			theory, err := movedInTheory(t, gone)
			if err != nil || moved+stayed == 0 {
				f.Detail = fmt.Sprintf("no client to judge by: %v", err)
				return f
			}
			n := float64(moved + stayed)
			z := distuv.UnitNormal.Quantile(1 - level/2)
			spare := z*math.Sqrt(theory*(1-theory)/n) + 1/n
			f.Observed = fmt.Sprintf("%.1f %%, %d of %d", 100*float64(moved)/n, moved, moved+stayed)
			f.Limit = fmt.Sprintf("%.1f %% ± %.1f %%", 100*theory, 100*spare)
			f.Verdict = reports.Pass
			if math.Abs(float64(moved)/n-theory) > spare {
				f.Verdict = reports.Fail
			}
			return f
		},
	}
}

// movedIn counts the clients of two rounds that another real server than gone served before, and
// that have gone to another one, or not.
func movedIn(before, after []reports.Call, gone string) (moved, stayed int) {
	served := map[netip.Addr]string{}
	for _, c := range before {
		served[c.From.Addr()] = c.Server
	}
	for _, c := range after {
		was, ok := served[c.From.Addr()]
		delete(served, c.From.Addr())
		switch {
		case !ok || was == "" || was == gone:
		case was == c.Server:
			stayed++
		default:
			moved++
		}
	}
	return moved, stayed
}

// population is how many addresses stand for all.
const population = 20_000

// movedInTheory is the share of all clients of the other real servers that move when one leaves.
func movedInTheory(t topology.Topology, gone string) (float64, error) {
	before, err := modelOf(t, t.Services[0])
	if err != nil {
		return 0, err
	}
	after, err := modelOf(t, t.Services[0])
	if err != nil {
		return 0, err
	}
	var left netip.AddrPort
	for _, d := range t.Services[0].RealServers {
		if d.Node == gone {
			left = addressOf(t, d)
		}
	}
	if err := after.Remove(left); err != nil {
		return 0, err
	}
	random := rand.New(rand.NewPCG(0, 0))
	moved, all := 0, 0
	for range population {
		b := random.Uint32()
		addr := netip.AddrFrom4([4]byte{byte(b >> 24), byte(b >> 16), byte(b >> 8), byte(b)})
		flow := scheduler.Flow{From: netip.AddrPortFrom(addr, firstPort)}
		was, ok1 := before.Connect(flow, modelEpoch)
		is, ok2 := after.Connect(flow, modelEpoch)
		if !ok1 || was.Server == left {
			continue
		}
		if all++; !ok2 || is.Server != was.Server {
			moved++
		}
	}
	return float64(moved) / float64(all), nil
}
