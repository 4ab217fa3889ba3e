package actors

import (
	"errors"

	"github.com/troupe-mq/troupe/codec"
)

// What the ferry does for other brokers that have sent a batch here.

// arrived hands a batch of another broker to the partition here, and answers it.
func (f *ferry) arrived(m *arrived) {
	p, from := m.parcel, m.from
	arrival, what := f.arrivals.judge(from, p)
	receipt := codec.Receipt{Cluster: f.house.cluster, Number: p.Number}
	switch what {
	case seenIt:
		return
	case oldRow:
		receipt.Row, receipt.Code, receipt.Message = arrival.row, codec.Unknown, "its sender has begun another row"
		f.give(from, &receipt)
		return
	case brokenIt:
		f.refuse(from, p, arrival, codec.Errorf(codec.Unavailable, "a batch before it is missing"))
		return
	}
	h := f.house.handles()[p.Group]
	if h == nil || p.Group == codec.MetadataGroup {
		f.refuse(from, p, arrival, codec.Errorf(codec.NotLeader, "there is no replica here"))
		return
	}
	msg, err := h.messageNow(p.Batch, func(done codec.Produced, err error) {
		receipt.Produced, receipt.Outcome = done, f.house.outcome(p.Group, err)
		f.give(from, &receipt)
	})
	if err != nil {
		f.refuse(from, p, arrival, err)
		return
	}
	h.tell(msg, msg.refuse)
}

// refuse breaks the row of a batch that is not taken, so that none behind it is.
func (f *ferry) refuse(from codec.NodeID, p *codec.Parcel, a *arrival, err error) {
	if !a.broken { // it was counted as taken
		a.broken = true
		a.next--
	}
	f.give(from, &codec.Receipt{Cluster: f.house.cluster, Number: p.Number, Row: a.row, Place: a.next, Outcome: f.house.outcome(p.Group, err)})
}

func (f *ferry) give(to codec.NodeID, r *codec.Receipt) {
	if to == f.house.node {
		f.post(r)
		return
	}
	f.house.link.Send(to, [][]byte{r.Encode()})
}

// outcome is how an error is told to another broker.
func (h *house) outcome(g codec.GroupID, err error) (o codec.Outcome) {
	if err == nil {
		return o
	}
	o.Code, o.Message = codec.Internal, err.Error()
	var coded *codec.Error
	if errors.As(err, &coded) {
		o.Code, o.Message = coded.Code, coded.Message
	}
	if o.Code == codec.NotLeader {
		l := h.leaderOf(g)
		o.Leader, o.Term = l.node, l.term
	}
	return o
}
