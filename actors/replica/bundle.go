package replica

import "github.com/troupe-mq/troupe/codec"

// A bundle is one entry of several batches: those that came between two Takes.
// So what raft and the WAL cost is shared by all that wait, the more of them the
// smaller each is. These bound it.
const (
	bundleBatchesMax = 256
	bundleBytesMax   = 1 << 20 // but one batch may be larger
)

// sealBefore proposes the bundle when a batch of size bytes does not go into it.
func (m *Mind) sealBefore(size int) {
	if p := m.bundle; p != nil && (len(p.items) >= bundleBatchesMax || p.size+int64(size) > bundleBytesMax) {
		m.seal()
	}
}

// newBundle is an empty one, with room for as many batches as the last had: a
// busy log's are much alike. Its data and its payloads leave the mind, the list
// of who asked comes back with the answers.
func (m *Mind) newBundle() *proposal {
	n := max(1, m.bundled)
	p := &proposal{data: codec.AppendBatchEntry(make([]byte, 0, 1+n*codec.DescriptorBytes)), payloads: make([]codec.Batch, 0, n), time: m.time}
	if k := len(m.spare); k > 0 {
		p.items, m.spare = m.spare[k-1], m.spare[:k-1]
	}
	return p
}

// sparesMax is how many lists of askers are kept for later bundles.
const sparesMax = 4

// settled takes back what belongs to the mind of a proposal that was answered.
func (m *Mind) settled(p *proposal) {
	if len(m.spare) < sparesMax && cap(p.items) <= bundleBatchesMax {
		clear(p.items)
		m.spare = append(m.spare, p.items[:0])
	}
	p.items = nil
}

// seal proposes the bundle. When raft takes nothing for now, those in it are
// told, and their offsets are free again: nothing was stamped behind them.
func (m *Mind) seal() {
	p := m.bundle
	if p == nil {
		return
	}
	m.bundle, m.bundled = nil, len(p.items)
	if err := m.propose(p); err != nil {
		m.refuse(p, err)
		m.flights.remove(p)
		m.inFlight -= p.size
		m.next, m.time = p.items[0].desc.BaseOffset, p.time
	}
}
