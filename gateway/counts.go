package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/session"
)

// counts are what Stats reads. Those of requests are atomic and cost nothing
// but that; names are counted below a lock, once a connection.
type counts struct {
	connections  atomic.Uint64
	refusedConns named
	closed       named
	bytesIn      atomic.Uint64
	bytesOut     atomic.Uint64
	pushes       atomic.Uint64
	hits         [hitCount]atomic.Uint64
	ops          [len(countedOps)]opCounts
	topics       topicsCounts
}

// named counts by name. The names are few: codes and reasons.
type named struct {
	mu sync.Mutex
	by map[string]uint64
}

func (n *named) add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.by == nil {
		n.by = map[string]uint64{}
	}
	n.by[name]++
}

func (n *named) read() map[string]uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[string]uint64{}
	for name, v := range n.by {
		out[name] = v
	}
	return out
}

// Reasons why connections end that are not codes.
const (
	closedByClient    = "client"
	closedByNetwork   = "network"
	closedForSlowness = "slow"
	closedByCut       = "cut"
)

// hit is a limit that was met.
type hit int

const (
	hitConnections hit = iota
	hitAddressConns
	hitInFlight // requests or bytes: it stopped reading
	hitBytesAll
	hitAnswers
	hitFrameMax
	hitSubscriptions
	hitHandshake
	hitIdle
	hitFrame
	hitWrite
	hitCount
)

var hitNames = [hitCount]string{"Connections", "AddressConns", "InFlight", "BytesInFlightAll", "AnswerBytes", "FrameMax",
	"Subscriptions", "Handshake", "Idle", "Frame", "Write"}

func (c *counts) hit(h hit) { c.hits[h].Add(1) }

// hitOf is the deadline that passed.
func hitOf(what session.Awaited, ready bool) hit {
	switch {
	case !ready:
		return hitHandshake
	case what == session.Request:
		return hitIdle
	}
	return hitFrame
}

func (c *counts) readHits() map[string]uint64 {
	out := map[string]uint64{}
	for i, name := range hitNames {
		out[name] = c.hits[i].Load()
	}
	return out
}

// countedOps are the operations that have counters of their own.
var countedOps = [...]codec.Op{OpOther, codec.OpHello, codec.OpPing, codec.OpMetadata, codec.OpCreateTopic, codec.OpAlterTopic, codec.OpDeleteTopic,
	codec.OpDescribeTopic, codec.OpTrim, codec.OpChangeReplicas, codec.OpTransfer, codec.OpProduce, codec.OpFetch, codec.OpOffsets, codec.OpSubscribe, codec.OpUnsubscribe, codec.OpCredit, codec.OpNewProducer, codec.OpCluster, codec.OpRemoveNode}

// placeOf finds an operation's place in countedOps, 0 for one that has none.
var placeOf = func() (places [64]uint8) {
	for i, op := range countedOps {
		places[op] = uint8(i)
	}
	return places
}()

func (c *counts) of(op codec.Op) *opCounts {
	if op >= codec.Op(len(placeOf)) {
		op = OpOther
	}
	return &c.ops[placeOf[op]]
}

// opCounts are the counters of one operation.
type opCounts struct {
	requests atomic.Uint64
	errors   [len(codesByPlace)]atomic.Uint64
	buckets  [len(bounds) + 1]atomic.Uint64
	sum      atomic.Int64 // ns
}

// codesByPlace bounds how many codes can be told apart; the table is closed.
var codesByPlace [64]codec.Code

// codePlaces finds a code's place in codesByPlace.
var codePlaces = func() map[codec.Code]int {
	places := map[codec.Code]int{}
	for i, code := range codec.Codes() {
		places[code], codesByPlace[i] = i, code
	}
	return places
}()

// bounds of durations: from a produce to a page cache up to a long poll.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 60 * time.Second,
}

func (c *counts) asked(op codec.Op) { c.of(op).requests.Add(1) }

func (c *counts) refused(op codec.Op, code codec.Code) { c.of(op).errors[codePlaces[code]].Add(1) }

func (c *counts) answered(op codec.Op, took time.Duration) {
	o := c.of(op)
	i := 0
	for i < len(bounds) && took > bounds[i] {
		i++
	}
	o.buckets[i].Add(1)
	o.sum.Add(int64(took))
}

func (c *counts) readOps() map[codec.Op]OpStats {
	out := map[codec.Op]OpStats{}
	for i := range c.ops {
		o := &c.ops[i]
		s := OpStats{Requests: o.requests.Load(), Errors: map[codec.Code]uint64{}}
		for place := range o.errors {
			if n := o.errors[place].Load(); n > 0 {
				s.Errors[codesByPlace[place]] = n
			}
		}
		if s.Requests == 0 && len(s.Errors) == 0 {
			continue
		}
		for b := range o.buckets {
			s.Seconds.Buckets = append(s.Seconds.Buckets, o.buckets[b].Load())
		}
		s.Seconds.Sum = time.Duration(o.sum.Load())
		out[countedOps[i]] = s
	}
	return out
}
