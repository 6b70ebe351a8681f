package notify

import "time"

// Counts are what became of the messages to one destination since New. What was told is done,
// failed, dropped, waiting, or just under way.
type Counts struct {
	// Told is how many there were: script runs, lines or mails.
	Told uint64
	// Done counts scripts that ended well, lines written and mails accepted.
	Done uint64
	// Failed counts scripts that did not, and mails that the server will never take.
	Failed uint64
	// Dropped counts those never delivered: pushed out by newer ones, or left at the end.
	Dropped uint64
	// Retries counts attempts that failed and are made again.
	Retries uint64
	// Waiting is how many wait now.
	Waiting int
	// LastError is why something last failed or was dropped, LastErrorAt when; empty and zero if
	// nothing ever was.
	LastError   string
	LastErrorAt time.Time
}

// note takes down why something failed.
func (c *Counts) note(now time.Time, why string) { c.LastError, c.LastErrorAt = why, now }

// leave counts what is left at the end. What has failed before is likely to be why.
func (c *Counts) leave(now time.Time, left int) {
	c.Dropped += uint64(left)
	if left > 0 && c.LastError == "" {
		c.note(now, "left at the end")
	}
}

// Stats is where a Notifier stands.
type Stats struct {
	// Seq is the number of the last event; 0 before the first, unless Options.Seq says otherwise.
	Seq uint64
	// Scripts are those of Rules, Running how many are at work now.
	Scripts Counts
	Running int
	// Mail is that of Rules.
	Mail Counts
	// FIFOs are in the order of Config.
	FIFOs []FIFOStats
	// LostLogs counts lines that nobody took down because the log was too slow.
	LostLogs uint64
	// Failing are the commands of Rules whose last run failed, by command.
	Failing []FailedScript
}

// FailedScript is a command whose last run failed, for at least one subject.
type FailedScript struct {
	// Script is the command.
	Script string
	// Since is when the first of those runs failed, Last when the last one did, and Error how.
	Since, Last time.Time
	Error       string
	// Subject is the one that Error is about; Others have failed runs too.
	Subject Subject
	Others  int
}

// FIFOStats is where one FIFO stands.
type FIFOStats struct {
	Path string
	// Counts are those of its lines.
	Counts
	// Open says that it is there to be read.
	Open bool
	// Restarts counts how often its script ended by itself.
	Restarts uint64
	// ReaderFailing is since when its script has not stayed at work for a minute, ReaderError how
	// it last ended; zero and empty if it does.
	ReaderFailing time.Time
	ReaderError   string
}

// loud reports whether the nth of its kind is worth a line: the 1st, 2nd, 4th, 8th and so on.
func loud(n uint64) bool { return n&(n-1) == 0 }
