package link

import (
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Refusal is why somebody was not let in here, as Status tells it.
type Refusal struct {
	Who     string // a node, or an address when that is not known
	Code    codec.Code
	Message string
	Count   uint64 // since the cause was another
	Last    time.Time
}

// notes log a cause once for each peer, and not at each dial. They are bounded:
// when there are too many, all begin anew.
type notes struct {
	log       func(event string, fields ...any)
	strangers atomic.Uint64 // connections that ended without a word to answer

	mu      sync.Mutex
	dials   map[codec.NodeID]string // the last trouble told
	refused map[string]*Refusal
}

// notesMax bounds what is remembered: strangers may come from anywhere.
const notesMax = 256

// dial notes that a peer cannot be reached.
func (n *notes) dial(to codec.NodeID, address string, err error) {
	says := err.Error()
	n.mu.Lock()
	same := n.dials[to] == says
	if n.dials == nil || len(n.dials) >= notesMax {
		n.dials = map[codec.NodeID]string{}
	}
	n.dials[to] = says
	n.mu.Unlock()
	if !same {
		n.log("a peer cannot be reached", "node", string(to), "address", address, "error", says)
	}
}

// reached notes that a peer was reached, and forgets what was told of it.
func (n *notes) reached(to codec.NodeID) {
	n.mu.Lock()
	delete(n.dials, to)
	n.mu.Unlock()
}

// refuse notes that somebody was refused here.
func (n *notes) refuse(who string, err *codec.Error) {
	n.mu.Lock()
	r := n.refused[who]
	same := r != nil && r.Code == err.Code
	if !same {
		if n.refused == nil || len(n.refused) >= notesMax {
			n.refused = map[string]*Refusal{}
		}
		r = &Refusal{Who: who, Code: err.Code}
		n.refused[who] = r
	}
	r.Message, r.Last = err.Message, time.Now()
	r.Count++
	n.mu.Unlock()
	if !same {
		n.log("a connection was refused", "from", who, "code", err.Code.String(), "reason", err.Message)
	}
}

// refusals are those noted, by who.
func (n *notes) refusals() []Refusal {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]Refusal, 0, len(n.refused))
	for _, r := range n.refused {
		all = append(all, *r)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Who < all[j].Who })
	return all
}
