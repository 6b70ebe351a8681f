package reports

// FaultHold: the fault that a FaultInject of the same fields asked for has taken hold, verified.
// Recordings before format 4 have none.
const FaultHold Kind = "fault-hold"
