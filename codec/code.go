package codec

import (
	"errors"
	"fmt"
)

// Code is the closed, append-only table of answers that cross a wire. Zero
// means done. The number is the protocol: it never changes its meaning.
type Code uint16

// The table. Ranges: 1xx the request, 2xx who asks, 3xx topics, partitions
// and logs, 6xx limits, 7xx brokers among themselves, 9xx the broker itself.
const (
	OK Code = 0

	Malformed       Code = 100 // the frame or its body cannot be understood
	FrameTooLarge   Code = 101 // longer than what HELLO agreed on
	VersionUnknown  Code = 102 // no common protocol version
	HelloFirst      Code = 103 // a request before HELLO
	OpUnknown       Code = 104 // no such operation
	InvalidArgument Code = 105 // understood, but a value is not allowed

	AuthRequired Code = 200 // the operation needs an identity
	AuthFailed   Code = 201 // the identity was not proven
	Denied       Code = 202 // the identity may not do this

	UnknownTopic       Code = 300 // no such topic
	UnknownPartition   Code = 301 // the topic has no such partition
	TopicExists        Code = 302 // created already
	InvalidTopic       Code = 303 // the name is not allowed
	InvalidSetting     Code = 304 // no such setting, or its value is not allowed
	CorruptBatch       Code = 305 // CRC, length or count of a batch is wrong: nothing was stored
	RecordTooLarge     Code = 306 // a batch above message.bytes.max
	OffsetOutOfRange   Code = 307 // below the start or above a confirmed end
	OffsetNotAvailable Code = 308 // above this replica's watermark for now
	NotLeader          Code = 309 // another replica leads; leader names it
	Fenced             Code = 310 // the sender's epoch is older than the log's
	Unknown            Code = 311 // the outcome of a produce is not known: it may or may not be in the log
	CorruptLog         Code = 312 // a damaged file: this replica is quarantined
	DiskFull           Code = 313 // no room to write; reads go on
	DiskFailed         Code = 314 // a failed fsync: this replica stopped
	Unavailable        Code = 315 // opening, restarting or without a leader; ask again
	DuplicateSequence  Code = 316 // an idempotent batch older than the five remembered
	SequenceGap        Code = 317 // an idempotent batch whose predecessor is missing

	Overloaded Code = 600 // bytes in flight or connections at the limit
	TimedOut   Code = 601 // the deadline passed and nothing was done
	// TooManyConnections: those of one address are at the limit.
	TooManyConnections Code = 602
	// TooManySubscriptions: those of one connection are at the limit.
	TooManySubscriptions Code = 603

	OtherCluster Code = 700 // two brokers of different clusters
	NoCluster    Code = 701 // one of two brokers belongs to no cluster yet
	WrongNode    Code = 702 // another node is at this address than the one that was meant
	Clone        Code = 703 // another process is that node, and lives

	Stopping Code = 900 // the broker is shutting down
	Internal Code = 901 // a bug; the log of the broker says more
)

// fact is one row of the table.
type fact struct {
	name      string
	retriable bool
	kafka     int16
}

// facts holds every Code. Kafka's numbers are from its protocol guide,
// "Error Codes".
var facts = map[Code]fact{
	OK:                   {"OK", false, 0},
	Malformed:            {"MALFORMED", false, 42},
	FrameTooLarge:        {"FRAME_TOO_LARGE", false, 10},
	VersionUnknown:       {"VERSION_UNKNOWN", false, 35},
	HelloFirst:           {"HELLO_FIRST", false, 34},
	OpUnknown:            {"OP_UNKNOWN", false, 35},
	InvalidArgument:      {"INVALID_ARGUMENT", false, 42},
	AuthRequired:         {"AUTH_REQUIRED", false, 34},
	AuthFailed:           {"AUTH_FAILED", false, 58},
	Denied:               {"DENIED", false, 29},
	UnknownTopic:         {"UNKNOWN_TOPIC", false, 3},
	UnknownPartition:     {"UNKNOWN_PARTITION", false, 3},
	TopicExists:          {"TOPIC_EXISTS", false, 36},
	InvalidTopic:         {"INVALID_TOPIC", false, 17},
	InvalidSetting:       {"INVALID_SETTING", false, 40},
	CorruptBatch:         {"CORRUPT_BATCH", false, 2},
	RecordTooLarge:       {"RECORD_TOO_LARGE", false, 10},
	OffsetOutOfRange:     {"OFFSET_OUT_OF_RANGE", false, 1},
	OffsetNotAvailable:   {"OFFSET_NOT_AVAILABLE", true, 78},
	NotLeader:            {"NOT_LEADER", true, 6},
	Fenced:               {"FENCED", false, 74},
	Unknown:              {"UNKNOWN", false, 7},
	CorruptLog:           {"CORRUPT_LOG", false, 56},
	DiskFull:             {"DISK_FULL", true, 56},
	DiskFailed:           {"DISK_FAILED", false, 56},
	Unavailable:          {"UNAVAILABLE", true, 5},
	DuplicateSequence:    {"DUPLICATE_SEQUENCE", false, 46},
	SequenceGap:          {"SEQUENCE_GAP", false, 45},
	Overloaded:           {"OVERLOADED", true, 89},
	TimedOut:             {"TIMED_OUT", true, 7},
	TooManyConnections:   {"TOO_MANY_CONNECTIONS", true, 89},
	TooManySubscriptions: {"TOO_MANY_SUBSCRIPTIONS", false, 44},
	OtherCluster:         {"OTHER_CLUSTER", false, -1},
	NoCluster:            {"NO_CLUSTER", true, -1},
	WrongNode:            {"WRONG_NODE", false, -1},
	Clone:                {"CLONE", false, -1},
	Stopping:             {"STOPPING", true, 5},
	Internal:             {"INTERNAL", false, -1},
}

// String is the name in the protocol, NOT_LEADER for instance.
func (c Code) String() string {
	if f, ok := facts[c]; ok {
		return f.name
	}
	return fmt.Sprintf("CODE_%d", uint16(c))
}

// Retriable says whether the same request may succeed later unchanged, and
// is known not to have been carried out.
func (c Code) Retriable() bool { return facts[c].retriable }

// Kafka is the error code of Kafka's protocol that means the same.
func (c Code) Kafka() int16 {
	if f, ok := facts[c]; ok {
		return f.kafka
	}
	return -1
}

// Codes lists the whole table in no order.
func Codes() []Code {
	all := make([]Code, 0, len(facts))
	for c := range facts {
		all = append(all, c)
	}
	return all
}

// Error is trouble that crosses a wire: a code of the table and one sentence
// for a person, with the value and the limit in it.
type Error struct {
	Code    Code
	Message string
	Leader  string // where to ask instead; empty when not known
}

// Error is the sentence with the name of its code.
func (e *Error) Error() string { return e.Code.String() + ": " + e.Message }

// Is makes errors.Is(err, codec.E(NotLeader)) ask for the code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == ""
}

// Errorf makes an Error with a formatted sentence.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// E is the bare code as an error, to compare with.
func E(code Code) *Error { return &Error{Code: code} }

// CodeOf is the code that err carries: OK for nil, Internal for an error that
// carries none.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	if e, ok := asError(err); ok {
		return e.Code
	}
	return Internal
}

func asError(err error) (e *Error, ok bool) {
	ok = errors.As(err, &e)
	return e, ok
}
