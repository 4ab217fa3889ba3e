package check

import (
	"fmt"

	"github.com/troupe-mq/troupe/codec"
)

// Outcome is what a client knows of a produce when its call returned.
type Outcome int

const (
	// OK: acknowledged, so it must be there for ever.
	OK Outcome = iota
	// Failed: known not to have been done, so it must never be there.
	Failed
	// Unknown: no answer, or one that says so: it may be there or not.
	Unknown
)

// String is the outcome's name in reports.
func (o Outcome) String() string { return [...]string{"ok", "failed", "unknown"}[o] }

// Produce is one record that a client sent.
type Produce struct {
	Log     codec.TopicPartition
	Token   uint64 // names the record; every sent record has its own
	Value   uint64 // hash of its key, value and headers
	Call    int64  // when it was sent, on one clock for the whole history
	Return  int64  // when the answer came; not looked at when Unknown
	Outcome Outcome
	Offset  codec.Offset // of an OK
	// Somewhere says of an OK that its Offset is not known: the log remembers only
	// that it has it.
	Somewhere bool
	Attempts  int // how often it was sent; 0 is once

	// Producer is set for a record of an idempotent producer: it stands in its
	// log once however often it was sent, behind those of a lower Sequence.
	Producer string
	Sequence int64
}

// Read is one record that a client was given. Reads stand in the history in
// the order that each session got them.
type Read struct {
	Log     codec.TopicPartition
	Session string // one uninterrupted reading of one log, forward from a position
	Token   uint64 // as found in the record
	Value   uint64 // hash of what was found
	Offset  codec.Offset
	Call    int64
	Return  int64
}

// History is all that clients did and saw.
type History struct {
	Produces []Produce
	Reads    []Read
	// Start is how far retention has gone by the end: records below it may be
	// gone. A log without an entry starts at 0.
	Start map[codec.TopicPartition]codec.Offset
	// Complete says that by the end somebody read every log to its end, so
	// what is acknowledged and not read is unseen. Without it such records are
	// only lost when something behind them was read.
	Complete bool
}

// Anomaly is the name of a kind of violation.
type Anomaly string

const (
	// LostWrite: acknowledged, a record behind it was read, it never was.
	LostWrite Anomaly = "lost-write"
	// Unseen: acknowledged, and not read when all was read to the end.
	Unseen Anomaly = "unseen"
	// Duplicate: one record at more offsets than it was sent times.
	Duplicate Anomaly = "duplicate"
	// InconsistentOffsets: two records at one offset, or an acknowledgement
	// that names another offset than the one it was read at.
	InconsistentOffsets Anomaly = "inconsistent-offsets"
	// NonmonotonicPoll: a session got an offset at or below one it had.
	NonmonotonicPoll Anomaly = "nonmonotonic-poll"
	// PollSkip: a session got offsets below and above a record that is there,
	// and not the record.
	PollSkip Anomaly = "poll-skip"
	// Invented: read, though nobody sent it, or not with this content, or not
	// yet, or its send is known to have failed.
	Invented Anomaly = "invented"
	// Reordered: acknowledged before another was sent, and behind it in the
	// log.
	Reordered Anomaly = "reordered"
	// NonmonotonicSend: two records of an idempotent producer that do not stand
	// in the order in which it sent them.
	NonmonotonicSend Anomaly = "nonmonotonic-send"
)

// Violation is one thing that must not be.
type Violation struct {
	Anomaly Anomaly
	Log     codec.TopicPartition
	Offset  codec.Offset
	Token   uint64
	Says    string // one sentence with the evidence
}

// String is the violation in reports.
func (v Violation) String() string {
	return fmt.Sprintf("%s %s offset %d record %d: %s", v.Anomaly, v.Log, v.Offset, v.Token, v.Says)
}
