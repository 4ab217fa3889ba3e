package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/cluster/link"
	"github.com/troupe-mq/troupe/codec"
)

// What brokers ask each other before they are of one cluster, as JSON.

// question is one. Who asks is known by the link.
type question struct {
	Ask  string `json:"ask"`
	Rack string `json:"rack,omitempty"`
}

// The questions.
const (
	askStanding = "standing" // where do you stand?
	askIn       = "in"       // let me in
)

// answer is one: where the broker stands, always; and to who asks to be let in, as
// what it is, or why it is not.
type answer struct {
	Standing *standing `json:"standing"`
	// Reached are others of the cluster and where they are, to who is of it: those that
	// are spoken with now.
	Reached map[codec.NodeID]string `json:"reached,omitempty"`
	In      *letIn                  `json:"in,omitempty"`
	Code    codec.Code              `json:"code,omitempty"`
	Message string                  `json:"message,omitempty"`
}

// letIn is what a node that is let into a cluster has to know.
type letIn struct {
	Cluster string                  `json:"cluster"`
	Replica codec.ReplicaID         `json:"replica"`
	Nodes   map[codec.NodeID]string `json:"nodes"` // and where their links are
}

const (
	askWithin    = 4 * time.Second
	answerWithin = 3 * time.Second
)

// question asks whoever is at an address.
func (l *linked) question(ctx context.Context, address string, q question) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	p, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	_, said, err := l.link.Asker().Question(ctx, address, p)
	if err != nil {
		return nil, err
	}
	var a answer
	if err := json.Unmarshal(said, &a); err != nil || a.Standing == nil {
		return nil, codec.Errorf(codec.VersionUnknown, "the broker at %s answers what this program does not know: update the older of the two", address)
	}
	if a.Code != codec.OK {
		return &a, &codec.Error{Code: a.Code, Message: a.Message}
	}
	return &a, nil
}

// answer is link.Config.Answer.
func (l *linked) answer(from link.Peer, p []byte) []byte {
	var q question
	a := answer{Standing: l.stands.Load()}
	err := json.Unmarshal(p, &q)
	switch {
	case err != nil:
		err = codec.Errorf(codec.InvalidArgument, "a question that is none: %v", err)
	case q.Ask == askIn:
		a.In, err = l.admit(from, q)
	case q.Ask != askStanding:
		err = codec.Errorf(codec.OpUnknown, "question %.64q: this broker knows standing and in", q.Ask)
	}
	if s := l.stands.Load(); s.Stage == stageMember && from.Cluster.String() == s.Cluster {
		if no := l.peers.met(from.Node, from.Disk, from.Address); no != nil {
			err = no
		} else {
			a.Reached = l.reached()
		}
	}
	var coded *codec.Error
	if errors.As(err, &coded) {
		a.Code, a.Message = coded.Code, coded.Message
	}
	said, err := json.Marshal(a)
	if err != nil {
		panic("troupe: marshal an answer: " + err.Error())
	}
	return said
}

// reached are the peers that are spoken with now, and where.
func (l *linked) reached() map[codec.NodeID]string {
	all := map[codec.NodeID]string{}
	for _, p := range l.link.Status().Peers {
		if p.Control.State == link.Up {
			all[p.Node] = p.Address
		}
	}
	return all
}

// admit has a node let in; nothing and no error from a broker that cannot yet.
func (l *linked) admit(from link.Peer, q question) (*letIn, error) {
	b := l.broker.Load()
	if b == nil || b.Ready() != nil {
		return nil, nil
	}
	if err := (codec.Identity{Role: codec.RoleBroker, Name: string(from.Node)}).Check(); err != nil {
		return nil, codec.Errorf(codec.Denied, "no broker can have this name: %v", err)
	}
	id, _ := b.Identity()
	in := &letIn{Cluster: id.String()}
	type outcome struct {
		id  codec.ReplicaID
		err error
	}
	done := make(chan outcome, 1)
	b.Admit(cluster.AdmitNode{Node: from.Node, Disk: from.Disk, Link: from.Address, Rack: q.Rack}, func(id codec.ReplicaID, err error) { done <- outcome{id, err} })
	select {
	case o := <-done:
		if o.err != nil {
			return nil, coded(o.err)
		}
		in.Replica = o.id
	case <-time.After(answerWithin):
		return nil, codec.Errorf(codec.TimedOut, "the cluster has not decided to let it in within %s: does it have a majority?", answerWithin)
	}
	in.Nodes = maps.Clone(l.peers.all())
	delete(in.Nodes, from.Node)
	in.Nodes[l.self.Node] = l.self.Address
	l.log("a node is let in", "node", string(from.Node), "address", from.Address, "replica", in.Replica)
	return in, nil
}

// coded is err as it crosses a wire.
func coded(err error) error {
	var e *codec.Error
	if errors.As(err, &e) {
		return e
	}
	return codec.Errorf(codec.Internal, "%v", fmt.Errorf("let a node in: %w", err))
}
