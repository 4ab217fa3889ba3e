package codec

import "math"

// FeatureSubscribe is the feature of HELLO that says that a server takes
// SUBSCRIBE, UNSUBSCRIBE and CREDIT, and that a client knows what to do with
// their pushes.
const FeatureSubscribe = "subscribe"

// CreditMax is the most credit that a subscription may hold, bytes: what is
// granted above it is not kept.
const CreditMax = 1 << 30

// PushKind says what a push carries.
type PushKind uint8

// The kinds of pushes.
const (
	PushData PushKind = 0 // Fetched
	PushEnd  PushKind = 1 // Ended: the last push of its subscription
	PushIdle PushKind = 2 // Idle
)

// Subscribe asks for a partition's records from Offset on, pushed as they
// come: never more than Credit bytes of them before more is granted, but for
// one batch, which comes whenever there is any credit. The answer is
// Subscribed.
type Subscribe struct {
	TopicPartition
	Offset Offset
	Credit int64 // bytes, [0, CreditMax]
	Mode   FetchMode
}

// Op is OpSubscribe.
func (*Subscribe) Op() Op { return OpSubscribe }

func (s *Subscribe) pack(p *packer) {
	p.array(5)
	p.text(string(s.Topic))
	p.int(int64(s.Partition))
	p.int(int64(s.Offset))
	p.int(s.Credit)
	p.int(int64(s.Mode))
}

func (s *Subscribe) unpack(u *unpacker) {
	n := u.array("SUBSCRIBE", 4)
	s.Topic, s.Partition = u.topic(), u.partition()
	s.Offset = u.offset("offset")
	s.Credit = u.int("credit", 0, CreditMax)
	if n > 4 && !u.null() {
		s.Mode = FetchMode(u.int("mode", int64(FetchBatches), int64(FetchRecords)))
	}
}

// Subscribed answers Subscribe.
type Subscribed struct {
	Subscription  uint32 // chosen by the server, from 1 on; never twice on a connection
	Start         Offset
	HighWatermark Offset
}

func (a *Subscribed) pack(p *packer) {
	p.array(3)
	p.int(int64(a.Subscription))
	p.int(int64(a.Start))
	p.int(int64(a.HighWatermark))
}

func (a *Subscribed) unpack(u *unpacker) {
	u.array("answer to SUBSCRIBE", 3)
	a.Subscription = u.subscription()
	a.Start, a.HighWatermark = u.offset("start"), u.offset("high watermark")
}

// Unsubscribe ends a subscription: behind the answer, which is Empty, none of
// its pushes comes any more.
type Unsubscribe struct{ Subscription uint32 }

// Op is OpUnsubscribe.
func (*Unsubscribe) Op() Op { return OpUnsubscribe }

func (s *Unsubscribe) pack(p *packer) {
	p.array(1)
	p.int(int64(s.Subscription))
}

func (s *Unsubscribe) unpack(u *unpacker) {
	u.array("UNSUBSCRIBE", 1)
	s.Subscription = u.subscription()
}

// Credit is a one-way: it grants a subscription Bytes more. One of a
// subscription that is not there, for it may just have ended, is ignored.
type Credit struct {
	Subscription uint32
	Bytes        int64 // [0, CreditMax]
}

// Op is OpCredit.
func (*Credit) Op() Op { return OpCredit }

func (c *Credit) pack(p *packer) {
	p.array(2)
	p.int(int64(c.Subscription))
	p.int(c.Bytes)
}

func (c *Credit) unpack(u *unpacker) {
	u.array("CREDIT", 2)
	c.Subscription = u.subscription()
	c.Bytes = u.int("credit", 0, CreditMax)
}

// Ended is the last push of a subscription that the server ended, and why.
type Ended struct{ Error }

func (e *Ended) pack(p *packer) {
	p.mapping(1 + e.fields())
	p.keyInt("code", int64(e.Code))
	e.packFields(p)
}

func (e *Ended) unpack(u *unpacker) {
	u.mapping("end of a subscription", func(key string) bool {
		if key == "code" {
			e.Code = Code(u.int("code", 0, math.MaxUint16))
			return true
		}
		return e.unpackField(u, key)
	})
}

// EncodeEnd makes the push that ends a subscription because of err, which is
// told as in EncodeError.
func EncodeEnd(dst []byte, subscription uint32, err error) Frame {
	return EncodePush(dst, subscription, PushEnd, &Ended{*toError(err)})
}

// Idle is pushed when a subscription with credit has had nothing to push for
// a while.
type Idle struct {
	Next          Offset // of the record to be pushed next
	HighWatermark Offset // the same when the end is reached
}

func (i *Idle) pack(p *packer) {
	p.array(2)
	p.int(int64(i.Next))
	p.int(int64(i.HighWatermark))
}

func (i *Idle) unpack(u *unpacker) {
	u.array("idle push", 2)
	i.Next, i.HighWatermark = u.offset("next offset"), u.offset("high watermark")
}

func (u *unpacker) subscription() uint32 { return uint32(u.int("subscription", 1, math.MaxUint32)) }
