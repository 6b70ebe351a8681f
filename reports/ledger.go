package reports

const (
	// FaultHold: the fault that a FaultInject of the same fields asked for has taken hold, verified.
	// Recordings before format 4 have none.
	FaultHold Kind = "fault-hold"
	// FaultRelease: its heal is asked for; FaultHeal says when it is done. Recordings before format 4
	// have none.
	FaultRelease Kind = "fault-release"
)

// notRecorded stands for the times that old recordings do not have.
const notRecorded = "not recorded"

// maxLedger is how many faults are shown unfolded.
const maxLedger = 24

// ledgerView is a fault with the times at which it was asked for, and done.
type ledgerView struct {
	Fault, Node, Target           string
	Asked, Held, Released, Healed string
	Lasted                        string
}

// ledger is every fault of a recording in order of its request.
func ledger(rec *Recording) []ledgerView {
	var views []ledgerView
	for _, f := range Faults(rec) {
		v := ledgerView{Fault: f.Name, Node: f.Node, Target: f.Detail, Asked: shown(f.From),
			Held: notRecorded, Released: notRecorded, Healed: "never", Lasted: shown(f.Length())}
		if v.Target == "" {
			v.Target = "–"
		}
		if f.Held > 0 {
			v.Held = "+" + shown(f.Held-f.From)
		}
		if f.Released > 0 {
			v.Released = shown(f.Released)
		}
		switch {
		case f.Healed && f.Released > 0:
			v.Healed = "+" + shown(f.To-f.Released)
		case f.Healed:
			v.Healed = "at " + shown(f.To)
		}
		views = append(views, v)
	}
	return views
}
