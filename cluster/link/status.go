package link

import (
	"cmp"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// State is how a lane is.
type State string

// The states.
const (
	Dialling State = "dialling" // to an address, or greeting there
	Up       State = "up"
	Silent   State = "silent"  // open, and nothing was heard for three seconds
	Waiting  State = "waiting" // for the next dial, with Trouble saying why
	Refused  State = "refused" // as Waiting, and a person has to mend it
)

// Status is what there is to say about a Link.
type Status struct {
	Cluster codec.UUID
	Life    uint64
	Peers   []PeerStatus // by name
	// Refusals are whom this side has not let in, and why, those of late.
	Refusals []Refusal
	Services []ServiceStatus // attached, by name
	// Strangers are connections of which nothing is known yet, Pushed how many
	// had to go for others, Unheard how many ended without a word to answer.
	Strangers       int
	Pushed, Unheard uint64
	// Nowhere are letters for nodes that are no peers.
	Nowhere uint64
}

// PeerStatus is what there is to say about another node.
type PeerStatus struct {
	Node codec.NodeID
	// Address is where it is dialled; empty for one that only dials.
	Address string
	Disk    codec.UUID // of its process; zero before it was greeted
	Life    uint64     // of its process; 0 before it was greeted
	Lost    bool       // that process has ended
	Control LaneStatus
	Bulk    LaneStatus
}

// LaneStatus is what there is to say about a lane.
type LaneStatus struct {
	State State     // empty for a node that is not dialled
	Since time.Time // that it has been up, or has not been
	// Trouble is the last that there was, in a sentence, while the lane is not
	// up.
	Trouble       string
	Heard         time.Duration // ago; 0 while it is not open
	QueuedBytes   int
	Sent, Got     Traffic
	Lost          Traffic // letters that did not leave
	Reconnections uint64
}

// Traffic counts letters.
type Traffic struct{ Letters, Bytes uint64 }

// Status looks at all of it.
func (l *Link) Status() Status {
	s := Status{Life: l.life, Refusals: l.notes.refusals(), Nowhere: l.nowhere.Load(), Unheard: l.notes.strangers.Load()}
	s.Strangers, s.Pushed = l.entrance.counts()
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Cluster = l.cluster
	for _, n := range l.nodes {
		p := PeerStatus{Node: n.name, Lost: n.lost, Disk: n.peer.Disk, Life: n.peer.Life}
		for kind, to := range []*LaneStatus{&p.Control, &p.Bulk} {
			if n.lanes != nil {
				*to, p.Address = n.lanes[kind].status()
			}
			to.Got = Traffic{n.in[kind].letters.Load(), n.in[kind].bytes.Load()}
		}
		s.Peers = append(s.Peers, p)
	}
	for c := range l.services {
		s.Services = append(s.Services, c.desk.status())
	}
	slices.SortFunc(s.Services, func(a, b ServiceStatus) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Address, b.Address))
	})
	slices.SortFunc(s.Peers, func(a, b PeerStatus) int {
		if a.Node < b.Node {
			return -1
		}
		return 1
	})
	return s
}

func (a *lane) status() (s LaneStatus, address string) {
	a.mu.Lock()
	s = LaneStatus{State: a.state, Since: a.since, Sent: Traffic{a.letters.Load(), a.bytes.Load()}}
	if n := a.opened.Load(); n > 0 {
		s.Reconnections = n - 1
	}
	if a.conn != nil {
		s.Heard = a.link.now() - time.Duration(a.conn.heard.Load())
		if s.Heard >= silentAfter {
			s.State, s.Since = Silent, time.Now().Add(-s.Heard)
			s.Trouble = "nothing was heard from it for " + s.Heard.Truncate(time.Second).String()
		}
	} else {
		s.Trouble = a.trouble
	}
	address = a.address
	a.mu.Unlock()
	q := &a.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	s.QueuedBytes, s.Lost = q.bytes, Traffic{q.lost, q.lostBytes}
	return s, address
}
