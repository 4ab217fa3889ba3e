package gateway

import (
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Stats is what a Server counted since it was made, and what is so now. It is
// a copy: nobody changes it any more.
type Stats struct {
	Connections      int               // open
	ConnectionsTotal uint64            // that were let in
	Refused          map[string]uint64 // connections that were not, by the name of the code they were told
	// Closed counts connections that ended, by reason: the name of the code
	// that the client was told, or "client" (it hung up), "network" (the
	// connection broke), "slow" (it did not take its answers), "cut" (Close did
	// not wait for it any longer).
	Closed map[string]uint64

	Ops      map[codec.Op]OpStats // those that were asked for at least once; OpOther are the unknown ones
	Pushes   uint64               // of data, to subscriptions
	BytesIn  uint64               // of frames that came
	BytesOut uint64               // of frames that left
	Topics   map[codec.Topic]TopicStats

	InFlightRequests int   // without an answer, on all connections
	InFlightBytes    int   // what they hold of Limits.BytesInFlightAll
	AnswerBytes      int   // what answers hold of Limits.AnswerBytes
	Subscriptions    int   // open
	CreditBytes      int64 // that subscriptions hold

	// Limits counts how often a limit was met, by the name of its field in
	// Limits.
	Limits        map[string]uint64
	BudgetWaits   map[string]uint64        // how often somebody waited for BytesInFlightAll and AnswerBytes
	BudgetWaiting map[string]time.Duration // and how long in all
}

// OpOther stands for every operation that is not known.
const OpOther codec.Op = 0

// OpStats are the requests of one operation.
type OpStats struct {
	Requests uint64
	Errors   map[codec.Code]uint64 // those that were refused, by code
	Seconds  Histogram             // from a frame's arrival until its answer had left; none of one-ways
}

// TopicStats are the records of one topic that crossed the door.
type TopicStats struct {
	RecordsIn, RecordsOut uint64
	BatchesIn             uint64
	BytesIn, BytesOut     uint64 // of batches, as they are stored
}

// Histogram counts durations in buckets.
type Histogram struct {
	Buckets []uint64 // Buckets[i] counts those at or below HistogramBounds[i] and above the bound before; the last has no bound
	Sum     time.Duration
}

// HistogramBounds are the upper bounds of a Histogram's buckets but the last.
func HistogramBounds() []time.Duration { return append([]time.Duration(nil), bounds[:]...) }

// Stats is what the server counted until now.
func (s *Server) Stats() Stats {
	t := Stats{
		ConnectionsTotal: s.counts.connections.Load(), Refused: s.counts.refusedConns.read(), Closed: s.counts.closed.read(),
		Ops: s.counts.readOps(), Pushes: s.counts.pushes.Load(), BytesIn: s.counts.bytesIn.Load(), BytesOut: s.counts.bytesOut.Load(),
		Topics: s.counts.readTopics(), Limits: s.counts.readHits(),
		BudgetWaits: map[string]uint64{}, BudgetWaiting: map[string]time.Duration{},
	}
	for name, b := range map[string]*budget{"BytesInFlightAll": s.requests, "AnswerBytes": s.answers} {
		_, t.BudgetWaits[name], t.BudgetWaiting[name] = b.usage()
	}
	t.InFlightBytes, _, _ = s.requests.usage()
	t.AnswerBytes, _, _ = s.answers.usage()
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Connections = len(s.conns)
	for c := range s.conns {
		c.mu.Lock()
		n, _ := c.session.InFlight()
		subs, credit := c.session.Subscriptions()
		c.mu.Unlock()
		t.InFlightRequests += n
		t.Subscriptions += subs
		t.CreditBytes += credit
	}
	return t
}

func (s *Server) hasTopic(name codec.Topic) bool {
	_, err := s.broker.Partition(codec.TopicPartition{Topic: name})
	return codec.CodeOf(err) != codec.UnknownTopic
}
