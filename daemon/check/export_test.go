package check

// Parts that tests and fuzzing reach alone.
var (
	ParseReply = parseReply
	IsEcho     = isEcho
	IsTimeout  = isTimeout
)

// Match returns where body matches; -1 if it does not.
func (r *Regex) Match(body []byte) int { return r.match(body) }
