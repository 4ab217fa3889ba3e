package codec

import (
	"fmt"
	"math"
)

// Kind is the first element of a frame's array.
type Kind uint8

// The kinds of frames.
const (
	KindRequest  Kind = 0 // [0, id, op, body]
	KindResponse Kind = 1 // [1, id, code, body]
	KindPush     Kind = 2 // [2, subscription, kind, body]
	KindOneWay   Kind = 3 // [3, op, body]
)

// ConnectionID is the id of a response that answers no request: it says why
// the connection is about to close. Ids of requests begin at 1.
const ConnectionID uint32 = 0

// Op names an operation. Numbers never change their meaning; one
// that is not known here is refused like any request, so all of 32 bits are read.
type Op uint32

// The operations of protocol v1.
const (
	OpHello          Op = 1
	OpPing           Op = 2
	OpMetadata       Op = 10
	OpCreateTopic    Op = 11
	OpAlterTopic     Op = 12
	OpDeleteTopic    Op = 13
	OpDescribeTopic  Op = 14
	OpTrim           Op = 15
	OpChangeReplicas Op = 17
	OpTransfer       Op = 18
	OpProduce        Op = 20
	OpFetch          Op = 21
	OpOffsets        Op = 22
	OpSubscribe      Op = 23
	OpUnsubscribe    Op = 24
	OpCredit         Op = 25 // one-way
	OpNewProducer    Op = 26
	OpCluster        Op = 30
	OpRemoveNode     Op = 31
)

var opNames = map[Op]string{
	OpHello: "HELLO", OpPing: "PING", OpMetadata: "METADATA", OpCreateTopic: "CREATE_TOPIC", OpAlterTopic: "ALTER_TOPIC",
	OpDeleteTopic: "DELETE_TOPIC", OpDescribeTopic: "DESCRIBE_TOPIC", OpTrim: "TRIM", OpChangeReplicas: "CHANGE_REPLICAS", OpTransfer: "TRANSFER", OpProduce: "PRODUCE", OpFetch: "FETCH", OpOffsets: "OFFSETS",
	OpSubscribe: "SUBSCRIBE", OpUnsubscribe: "UNSUBSCRIBE", OpCredit: "CREDIT", OpNewProducer: "NEW_PRODUCER", OpCluster: "CLUSTER", OpRemoveNode: "REMOVE_NODE",
}

// String is the name in docs/PROTOCOL.md.
func (o Op) String() string {
	if name, ok := opNames[o]; ok {
		return name
	}
	return fmt.Sprintf("OP_%d", uint32(o))
}

// Message is the body of a frame. The messages of protocol v1 are in this
// package and nowhere else.
type Message interface {
	pack(*packer)
	unpack(*unpacker)
}

// Request is a Message that asks for an operation.
type Request interface {
	Message
	Op() Op
}

// Envelope is a parsed frame: which fields are set depends on Kind.
type Envelope struct {
	Kind Kind
	ID   uint32   // of request and response; the subscription of a push
	Op   Op       // of request and one-way
	Code Code     // of a response
	Push PushKind // of a push
	body []byte   // begins with the body, ends with the frame
}

// EncodeRequest makes a request's frame in dst's memory.
func EncodeRequest(dst []byte, id uint32, r Request) Frame {
	return pack(dst, func(p *packer) {
		p.array(4)
		p.int(int64(KindRequest))
		p.int(int64(id))
		p.int(int64(r.Op()))
		r.pack(p)
	})
}

// EncodeResponse makes the frame that answers request id in dst's memory.
func EncodeResponse(dst []byte, id uint32, m Message) Frame {
	return pack(dst, func(p *packer) { p.response(id, OK, m) })
}

// EncodeError makes the frame that refuses request id, or says why the
// connection closes when id is ConnectionID. An err without a code is told
// as Internal.
func EncodeError(dst []byte, id uint32, err error) Frame {
	e := toError(err)
	return pack(dst, func(p *packer) { p.response(id, e.Code, e) })
}

func (p *packer) response(id uint32, code Code, m Message) {
	p.array(4)
	p.int(int64(KindResponse))
	p.int(int64(id))
	p.int(int64(code))
	m.pack(p)
}

// EncodePush makes a push's frame in dst's memory.
func EncodePush(dst []byte, subscription uint32, kind PushKind, m Message) Frame {
	return pack(dst, func(p *packer) {
		p.array(4)
		p.int(int64(KindPush))
		p.int(int64(subscription))
		p.int(int64(kind))
		m.pack(p)
	})
}

// EncodeOneWay makes a one-way frame in dst's memory.
func EncodeOneWay(dst []byte, r Request) Frame {
	return pack(dst, func(p *packer) {
		p.array(3)
		p.int(int64(KindOneWay))
		p.int(int64(r.Op()))
		r.pack(p)
	})
}

// ParseEnvelope checks a frame (Check) and reads its envelope. The error is a
// *Error with code Malformed; ID is set as soon as it was read, so that the
// answer can name it.
func ParseEnvelope(frame []byte) (Envelope, error) {
	var e Envelope
	if err := Check(frame, FrameDepthMax, FrameElementsMax); err != nil {
		return e, err
	}
	err := unpack(frame, func(u *unpacker) { e.unpack(u) })
	return e, err
}

func (e *Envelope) unpack(u *unpacker) {
	u.array("frame", 3)
	kind := u.int("kind of frame", 0, math.MaxUint8)
	if u.err == nil && kind > int64(KindOneWay) {
		u.fail(Malformed, "kind of frame is %d: 0 request, 1 response, 2 push and 3 one-way are known", kind)
	}
	e.Kind = Kind(kind)
	if e.Kind != KindOneWay {
		e.ID = uint32(u.int("id", 0, math.MaxUint32))
	}
	switch e.Kind {
	case KindRequest, KindOneWay:
		e.Op = Op(u.int("op", 0, math.MaxUint32))
	case KindResponse:
		e.Code = Code(u.int("code", 0, math.MaxUint16))
	case KindPush:
		e.Push = PushKind(u.int("kind of push", 0, math.MaxUint8))
	}
	if e.body = u.frame[u.pos():]; len(e.body) == 0 {
		u.fail(Malformed, "frame has no body")
	}
	if u.err != nil { // whatever was out of range, the frame is not one of ours
		u.err = Errorf(Malformed, "%s", u.err.(*Error).Message)
	}
}

// Decode reads the body into m. Byte strings of m are parts of the frame. The
// error is a *Error: Malformed, or InvalidArgument when a value is not allowed.
func (e Envelope) Decode(m Message) error { return unpack(e.body, m.unpack) }

// Err is the error that a response carries, nil for OK.
func (e Envelope) Err() error {
	if e.Code == OK {
		return nil
	}
	err := &Error{Code: e.Code}
	if bad := e.Decode(err); bad != nil {
		return bad
	}
	return err
}

// toError is err as it is told to the other side.
func toError(err error) *Error {
	if e, ok := asError(err); ok {
		return e
	}
	return Errorf(Internal, "the broker failed: its log says more")
}

func (e *Error) pack(p *packer) {
	p.mapping(e.fields())
	e.packFields(p)
}

// fields is how many keys packFields writes.
func (e *Error) fields() int {
	if e.Leader != "" {
		return 4
	}
	return 3
}

func (e *Error) packFields(p *packer) {
	p.keyText("name", e.Code.String())
	p.keyText("msg", e.Message)
	p.text("retriable")
	p.bool(e.Code.Retriable())
	if e.Leader != "" {
		p.keyText("leader", e.Leader)
	}
}

func (e *Error) unpack(u *unpacker) {
	u.mapping("error", func(key string) bool { return e.unpackField(u, key) })
}

func (e *Error) unpackField(u *unpacker, key string) bool {
	switch key {
	case "msg":
		e.Message = u.text("msg", FrameMax)
	case "leader":
		e.Leader = u.text("leader", nameMax)
	default:
		return false
	}
	return true
}

// Empty is the body of a request or an answer that has nothing to say: an
// empty map. Whatever comes in its place is ignored.
type Empty struct{}

func (Empty) pack(p *packer)     { p.mapping(0) }
func (Empty) unpack(u *unpacker) { u.skip(1) }
