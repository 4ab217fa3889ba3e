package codec

import (
	"encoding/binary"
	"fmt"
)

// CallKind is what a Call asks for.
type CallKind byte

// The kinds of calls. There are no others: what is not here a service may not do.
const (
	CallProduce  CallKind = 0 // that Batch is stored
	CallRead     CallKind = 1 // batches from At on, Bytes of them at most
	CallAwait    CallKind = 2 // answered when the high watermark is above At, or when Within has passed
	CallBounds   CallKind = 3 // where the log begins and ends
	CallTime     CallKind = 4 // the earliest offset whose timestamp is at or after At
	CallTopic    CallKind = 5 // how many partitions its topic has, and how large a batch may be
	CallProducer CallKind = 6 // an id for an idempotent producer
)

const (
	// CallBatchMax is the largest batch in a call or in its answer, bytes; no topic
	// has a larger message.bytes.max.
	CallBatchMax = 4 << 20
	// CallBytesMax is the largest call, bytes.
	CallBytesMax = callHeadBytes + topicNameMax + CallBatchMax
	// CallCostMax is the cost of the dearest call.
	CallCostMax = CallBytesMax + ReplyBytesMax - CallBatchMax
	// ReplyBytesMax is the largest answer, bytes.
	ReplyBytesMax = replyHeadBytes + outcomeHeadBytes + nameMax + outcomeTextMax + CallBatchMax
)

// Call is the letter in which a service asks a partition for something.
//
//	24   8   number, the service's choice; above 0, and used once on a connection
//	32   8   at, an offset or a time
//	40   4   bytes
//	44   4   milliseconds
//	48   4   partition
//	52   1   kind
//	53   1   0
//	54   2   bytes of the topic
//	56       the topic
//	         the batch
type Call struct {
	Cluster UUID
	Number  uint64
	TopicPartition
	Kind   CallKind
	At     int64
	Bytes  uint32
	Within uint32
	// Batch is not under the letter's checksum; whoever receives it verifies it.
	Batch Batch
}

const callHeadBytes = letterHeadBytes + 32

// Cost is what a call takes of a service's window, bytes: its own, and those of the
// largest answer that it may have.
func (l *Call) Cost() int { return l.Size() + ReplyBytesMax - CallBatchMax + int(l.Bytes) }

// Size is how many bytes the letter has.
func (l *Call) Size() int { return callHeadBytes + len(l.Topic) + len(l.Batch) }

// Encode gives the letter in parts, the batch uncopied.
func (l *Call) Encode() [][]byte {
	be := binary.BigEndian
	p := letterHead(LetterCall, l.Cluster, callHeadBytes-letterHeadBytes+len(l.Topic))
	p = be.AppendUint64(p, l.Number)
	p = be.AppendUint64(p, uint64(l.At))
	p = be.AppendUint32(p, l.Bytes)
	p = be.AppendUint32(p, l.Within)
	p = be.AppendUint32(p, uint32(l.Partition))
	p = be.AppendUint16(append(p, byte(l.Kind), 0), uint16(len(l.Topic)))
	p = sealLetter(append(p, l.Topic...))
	if len(l.Batch) == 0 {
		return [][]byte{p}
	}
	return [][]byte{p, l.Batch}
}

// ParseCall reads what Encode gave, in one piece, whose memory it shares.
func ParseCall(p []byte) (*Call, error) {
	if len(p) < callHeadBytes {
		return nil, fmt.Errorf("parse call: %d bytes, want at least %d", len(p), callHeadBytes)
	}
	be := binary.BigEndian
	limit := callHeadBytes + int(be.Uint16(p[54:]))
	if limit > len(p) {
		return nil, fmt.Errorf("parse call: its topic ends at %d of %d bytes", limit, len(p))
	}
	cluster, err := openLetter(p, LetterCall, limit)
	if err != nil {
		return nil, err
	}
	l := &Call{
		Cluster: cluster, Number: be.Uint64(p[24:]), At: int64(be.Uint64(p[32:])), Bytes: be.Uint32(p[40:]), Within: be.Uint32(p[44:]),
		TopicPartition: TopicPartition{Topic(p[callHeadBytes:limit]), Partition(be.Uint32(p[48:]))}, Kind: CallKind(p[52]),
	}
	if len(p) > limit {
		l.Batch = Batch(p[limit:])
	}
	if p[53] != 0 {
		return nil, fmt.Errorf("parse call: %x where 0 is to be", p[53])
	}
	return l, l.check()
}

// check says what is wrong with a call: only what its kind needs may be there, so that
// a small question does not ask for much.
func (l *Call) check() error {
	switch {
	case l.Kind > CallProducer:
		return fmt.Errorf("parse call: kind %d is not known", l.Kind)
	case l.Number == 0:
		return fmt.Errorf("parse call: number 0")
	case len(l.Topic) > topicNameMax || l.Partition < 0:
		return fmt.Errorf("parse call: partition %d of a topic of %d bytes", l.Partition, len(l.Topic))
	case (l.Kind == CallProduce) != (len(l.Batch) > 0) || len(l.Batch) > CallBatchMax || l.Kind == CallProduce && len(l.Batch) < BatchHeaderBytes:
		return fmt.Errorf("parse call: a batch of %d bytes in a call of kind %d: want %d to %d to be stored, else none", len(l.Batch), l.Kind, BatchHeaderBytes, CallBatchMax)
	case (l.Kind == CallRead) != (l.Bytes > 0) || l.Bytes > CallBatchMax:
		return fmt.Errorf("parse call: asks for %d bytes in a call of kind %d: want 1 to %d to read, else 0", l.Bytes, l.Kind, CallBatchMax)
	case l.Kind != CallAwait && l.Within != 0:
		return fmt.Errorf("parse call: waits in a call of kind %d", l.Kind)
	}
	return nil
}

// Reply is the letter that answers a Call. That of number 0 is about the connection:
// why it is closed.
//
//	24   8   number of the call
//	32   8   start of the log
//	40   8   high watermark
//	48   8   offset: of the first record stored, or that was found; the producer's id
//	56   8   append time, milliseconds
//	64   4   number of the topic's partitions
//	68   4   message.bytes.max of the topic
//	72   1   1 when the offset was found
//	73   3   0
//	76       the outcome, as in Outcome
//	         batches
type Reply struct {
	Cluster       UUID
	Number        uint64
	Start         Offset
	HighWatermark Offset
	Offset        Offset
	AppendTime    Millis
	Partitions    uint32
	BytesMax      uint32
	Found         bool
	Outcome
	// Batches are not under the letter's checksum; they have their own.
	Batches []byte
}

const replyHeadBytes = letterHeadBytes + 52

// Encode gives the letter in parts, the batches uncopied.
func (l *Reply) Encode() [][]byte {
	be := binary.BigEndian
	p := letterHead(LetterReply, l.Cluster, replyHeadBytes-letterHeadBytes+outcomeHeadBytes+len(l.Leader)+len(l.Message))
	p = be.AppendUint64(p, l.Number)
	p = be.AppendUint64(p, uint64(l.Start))
	p = be.AppendUint64(p, uint64(l.HighWatermark))
	p = be.AppendUint64(p, uint64(l.Offset))
	p = be.AppendUint64(p, uint64(l.AppendTime))
	p = be.AppendUint32(p, l.Partitions)
	p = be.AppendUint32(p, l.BytesMax)
	found := byte(0)
	if l.Found {
		found = 1
	}
	p = sealLetter(l.Outcome.appendTo(append(p, found, 0, 0, 0)))
	if len(l.Batches) == 0 {
		return [][]byte{p}
	}
	return [][]byte{p, l.Batches}
}

// ParseReply reads what Encode gave, in one piece, whose memory it shares.
func ParseReply(p []byte) (*Reply, error) {
	if len(p) < replyHeadBytes {
		return nil, fmt.Errorf("parse reply: %d bytes, want at least %d", len(p), replyHeadBytes)
	}
	be := binary.BigEndian
	l := &Reply{
		Number: be.Uint64(p[24:]), Start: Offset(be.Uint64(p[32:])), HighWatermark: Offset(be.Uint64(p[40:])), Offset: Offset(be.Uint64(p[48:])),
		AppendTime: Millis(be.Uint64(p[56:])), Partitions: be.Uint32(p[64:]), BytesMax: be.Uint32(p[68:]), Found: p[72] == 1,
	}
	rest, err := l.Outcome.parse(p[replyHeadBytes:])
	if err != nil {
		return nil, fmt.Errorf("parse reply: %w", err)
	}
	if l.Cluster, err = openLetter(p, LetterReply, len(p)-len(rest)); err != nil {
		return nil, err
	}
	if p[72] > 1 || p[73] != 0 || p[74] != 0 || p[75] != 0 {
		return nil, fmt.Errorf("parse reply: %x where 1 or 0 is to be", p[72:76])
	}
	if len(rest) > 0 {
		l.Batches = rest
	}
	return l, nil
}

// Fail has a reply say why what was asked for was not done.
func (l *Reply) Fail(err *Error) {
	l.Outcome = Outcome{Code: err.Code, Leader: NodeID(err.Leader), Message: err.Message}
	l.Batches = nil
}

// Err is why what was asked for was not done; nil when it was.
func (o *Outcome) Err() error {
	if o.Code == OK {
		return nil
	}
	return &Error{Code: o.Code, Message: o.Message, Leader: string(o.Leader)}
}
