package found

import (
	"encoding/json"
	"fmt"

	"github.com/troupe-mq/troupe/codec"
)

// Question is what one broker asks another, in JSON: for its Status when there is
// nothing else; to store Offer; or to let Join in.
type Question struct {
	Offer *Record
	Join  *Join
}

// Join is who wants to join a cluster.
type Join struct {
	Node codec.NodeID
	Disk codec.UUID
	Link string
	Rack string
}

// Reply answers a Question.
type Reply struct {
	Err      *codec.Error // why not
	Status   *Status      // of whoever answers; its Self is not told
	Admitted *Admitted    // answers Join
}

// Admitted is what a broker needs that was let in.
type Admitted struct {
	Cluster codec.UUID
	Replica codec.ReplicaID // its replica of the metadata
	Links   map[codec.NodeID]string
}

type (
	questionJSON struct {
		Offer json.RawMessage `json:"offer,omitempty"`
		Join  *joinJSON       `json:"join,omitempty"`
	}
	joinJSON struct {
		Node string `json:"node"`
		Disk string `json:"disk"`
		Link string `json:"link"`
		Rack string `json:"rack,omitempty"`
	}
	replyJSON struct {
		Code    uint16            `json:"code,omitempty"`
		Message string            `json:"message,omitempty"`
		Status  *statusJSON       `json:"status,omitempty"`
		Cluster string            `json:"cluster,omitempty"` // and so on: of Admitted
		Replica uint64            `json:"replica,omitempty"`
		Links   map[string]string `json:"links,omitempty"`
	}
	statusJSON struct {
		Node    string          `json:"node"`
		Disk    string          `json:"disk"`
		Link    string          `json:"link"`
		State   State           `json:"state"`
		Record  json.RawMessage `json:"record,omitempty"`
		Cluster string          `json:"cluster,omitempty"`
		Listed  []string        `json:"listed,omitempty"`
	}
)

func encoded(v any) []byte {
	p, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("found: encode a message: %v", err)) // text and numbers alone
	}
	return p
}

// Encode writes the question.
func (q Question) Encode() []byte {
	var j questionJSON
	if q.Offer != nil {
		j.Offer = q.Offer.Encode()
	}
	if q.Join != nil {
		j.Join = &joinJSON{string(q.Join.Node), q.Join.Disk.String(), q.Join.Link, q.Join.Rack}
	}
	return encoded(j)
}

// DecodeQuestion reads what Encode wrote.
func DecodeQuestion(p []byte) (q Question, err error) {
	var j questionJSON
	if err := json.Unmarshal(p, &j); err != nil {
		return q, fmt.Errorf("question: %w", err)
	}
	if j.Offer != nil {
		r, err := DecodeRecord(j.Offer)
		if err != nil {
			return q, fmt.Errorf("question: %w", err)
		}
		q.Offer = &r
	}
	if j.Join != nil {
		disk, err := codec.ParseUUID(j.Join.Disk)
		if err != nil {
			return q, fmt.Errorf("question: disk: %w", err)
		}
		q.Join = &Join{codec.NodeID(j.Join.Node), disk, j.Join.Link, j.Join.Rack}
	}
	return q, nil
}

// Encode writes the reply.
func (r Reply) Encode() []byte {
	var j replyJSON
	if r.Err != nil {
		j.Code, j.Message = uint16(r.Err.Code), r.Err.Message
	}
	if s := r.Status; s != nil {
		j.Status = &statusJSON{Node: string(s.Who.Node), Disk: s.Who.Disk.String(), Link: s.Who.Link, State: s.State, Cluster: s.Cluster.String(), Listed: s.Listed}
		if s.Record != nil {
			j.Status.Record = s.Record.Encode()
		}
	}
	if a := r.Admitted; a != nil {
		j.Cluster, j.Replica, j.Links = a.Cluster.String(), uint64(a.Replica), map[string]string{}
		for n, at := range a.Links {
			j.Links[string(n)] = at
		}
	}
	return encoded(j)
}

// DecodeReply reads what Encode wrote.
func DecodeReply(p []byte) (r Reply, err error) {
	var j replyJSON
	if err := json.Unmarshal(p, &j); err != nil {
		return r, fmt.Errorf("reply: %w", err)
	}
	if j.Code != 0 {
		r.Err = &codec.Error{Code: codec.Code(j.Code), Message: j.Message}
	}
	if j.Status != nil {
		if r.Status, err = j.Status.decoded(); err != nil {
			return r, fmt.Errorf("reply: %w", err)
		}
	}
	if j.Replica != 0 {
		a := &Admitted{Replica: codec.ReplicaID(j.Replica), Links: map[codec.NodeID]string{}}
		if a.Cluster, err = codec.ParseUUID(j.Cluster); err != nil {
			return r, fmt.Errorf("reply: cluster: %w", err)
		}
		for n, at := range j.Links {
			a.Links[codec.NodeID(n)] = at
		}
		r.Admitted = a
	}
	return r, nil
}

func (j *statusJSON) decoded() (*Status, error) {
	s := &Status{Who: Founder{Node: codec.NodeID(j.Node), Link: j.Link}, State: j.State, Listed: j.Listed}
	var err error
	if s.Who.Disk, err = codec.ParseUUID(j.Disk); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	if s.Cluster, err = codec.ParseUUID(j.Cluster); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if j.Record != nil {
		r, err := DecodeRecord(j.Record)
		if err != nil {
			return nil, err
		}
		s.Record = &r
	}
	switch {
	case s.State != Empty && s.State != Recorded && s.State != Member:
		return nil, fmt.Errorf("state %q", s.State)
	case (s.State == Recorded) != (s.Record != nil):
		return nil, fmt.Errorf("state %q, with a record: %v", s.State, s.Record != nil)
	}
	return s, nil
}
