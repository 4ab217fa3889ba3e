package actors

import (
	"github.com/troupe-mq/troupe/codec"
)

// payloadBytesMax bounds the batches that a replica keeps in memory for others,
// beyond those that its own disk does not have yet. What is older is read from
// the segment files.
const payloadBytesMax = 4 << 20

// payloads are the batches of the newest entries of a replicated log. An entry
// that the disk does not have yet is always among them.
type payloads struct {
	offered []payload // heard, and in no append so far
	kept    []payload // of entries given to the disk, ascending
	durable codec.Index
	bytes   int64 // of kept
}

// offer keeps what came with a message until it is known which of it consensus
// takes.
func (p *payloads) offer(list []payload) { p.offered = append(p.offered, list...) }

// declined forgets what was offered and not taken.
func (p *payloads) declined() {
	clear(p.offered)
	p.offered = p.offered[:0]
}

// claim are the batches that were offered for an entry.
func (p *payloads) claim(index codec.Index, term codec.Term) []codec.Batch {
	for i := range p.offered {
		if p.offered[i].index == index && p.offered[i].term == term {
			return p.offered[i].list
		}
	}
	return nil
}

// keep takes the batches of an entry that is given to the disk. Those that were
// kept from its index on are of entries that it replaces.
func (p *payloads) keep(index codec.Index, term codec.Term, list []codec.Batch) {
	p.cut(index)
	if len(list) == 0 {
		return
	}
	one := payload{index: index, term: term, list: list}
	for _, b := range list {
		one.bytes += int64(len(b))
	}
	p.kept = append(p.kept, one)
	p.bytes += one.bytes
}

// cut forgets entries from index on.
func (p *payloads) cut(index codec.Index) {
	n := len(p.kept)
	for n > 0 && p.kept[n-1].index >= index {
		n--
		p.bytes -= p.kept[n].bytes
		p.kept[n] = payload{}
	}
	p.kept = p.kept[:n]
	p.durable = min(p.durable, index-1)
}

// written says that the disk has all entries up to index, and forgets the oldest
// of them above the bound. term is that of the last: what stands
// below it with a higher one has replaced others meanwhile, and is on its way.
func (p *payloads) written(index codec.Index, term codec.Term) {
	for i := range p.kept {
		if p.kept[i].index <= index && p.kept[i].term > term { // cut, and given to the disk anew
			index = p.kept[i].index - 1
			break
		}
	}
	p.durable = max(p.durable, index)
	n := 0
	for n < len(p.kept) && p.bytes > payloadBytesMax && p.kept[n].index <= p.durable {
		p.bytes -= p.kept[n].bytes
		p.kept[n] = payload{}
		n++
	}
	p.kept = p.kept[n:]
}

// find are the batches of an entry; ok is false when they are not in memory.
func (p *payloads) find(index codec.Index, term codec.Term) (list []codec.Batch, ok bool) {
	for i := len(p.kept) - 1; i >= 0 && p.kept[i].index >= index; i-- {
		if p.kept[i].index == index {
			return p.kept[i].list, p.kept[i].term == term
		}
	}
	return nil, false
}
