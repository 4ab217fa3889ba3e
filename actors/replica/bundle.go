package replica

import "github.com/troupe-mq/troupe/codec"

// A bundle is one entry of several batches: those that came between two Takes.
// So what raft and the WAL cost is shared by all that wait, the more of them the
// smaller each is. These bound it.
const (
	bundleBatchesMax = 256
	bundleBytesMax   = 1 << 20 // but one batch may be larger
)

// bundleFor is the bundle that a batch of size bytes goes into.
func (m *Mind) bundleFor(size int) *proposal {
	if p := m.bundle; p != nil && (len(p.items) >= bundleBatchesMax || p.size+int64(size) > bundleBytesMax) {
		m.seal()
	}
	if m.bundle == nil {
		m.bundle = &proposal{data: codec.AppendBatchEntry(make([]byte, 0, 1+codec.DescriptorBytes)), time: m.time}
	}
	return m.bundle
}

// seal proposes the bundle. When raft takes nothing for now, those in it are
// told, and their offsets are free again: nothing was stamped behind them.
func (m *Mind) seal() {
	p := m.bundle
	if p == nil {
		return
	}
	m.bundle = nil
	if err := m.propose(p); err != nil {
		m.refuse(p, err)
		m.flights.remove(p)
		m.inFlight -= p.size
		m.next, m.time = p.items[0].desc.BaseOffset, p.time
	}
}
