package replica

import (
	"encoding/binary"

	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3"
)

// doubt is an answer that only the leader of now may give: a leader that was
// deposed and has not heard of it may lack what another one has stored since.
type doubt struct {
	number uint64
	token  any
	err    error
}

// Confirm answers token when a majority has said, from now on, that this replica still
// leads; otherwise with a code. It has to lead, and to have committed.
func (m *Mind) Confirm(token any) { m.confirm(token, nil) }

// confirm answers token with err when a majority has said, from now on, that this
// replica still leads (raft's ReadIndex); otherwise with a code that says to ask
// again.
func (m *Mind) confirm(token any, err error) {
	if codec.Mutant("gap-of-a-stale-leader") {
		m.answers = append(m.answers, Answer{Token: token, Err: err})
		return
	}
	m.doubted++
	m.doubts = append(m.doubts, doubt{m.doubted, token, err})
	m.node.ReadIndex(binary.BigEndian.AppendUint64(nil, m.doubted))
}

// confirmed answers those whose moment was before one that is confirmed now.
func (m *Mind) confirmed(states []raft.ReadState) {
	for _, s := range states {
		upTo := binary.BigEndian.Uint64(s.RequestCtx)
		for len(m.doubts) > 0 && m.doubts[0].number <= upTo {
			d := m.doubts[0]
			m.doubts = m.doubts[1:]
			m.answers = append(m.answers, Answer{Token: d.token, Err: d.err})
		}
	}
}

// doubtAll answers all that was not confirmed: it is for the next leader to say.
func (m *Mind) doubtAll() {
	for _, d := range m.doubts {
		m.answers = append(m.answers, Answer{Token: d.token,
			Err: codec.Errorf(codec.Unavailable, "leadership of group %d ended before it could be confirmed: nothing was stored", m.cfg.Group)})
	}
	m.doubts = nil
}
