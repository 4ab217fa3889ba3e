package replica

import (
	"encoding/binary"
	"fmt"

	"github.com/troupe-mq/troupe/codec"
)

const (
	// BatchesRemembered is how many batches of a producer can be told from
	// new ones when they are sent again. Kafka's clients have at most as many
	// in flight.
	BatchesRemembered = 5
	// ProducerRetention is how long a producer is remembered after its last
	// batch, by the log's append times.
	ProducerRetention = codec.Millis(7 * 24 * 60 * 60 * 1000)
	// ProducersMax is how many producers are remembered of one log. Above it the
	// one that was silent for longest is forgotten, and is refused until it begins
	// anew with sequence 0.
	ProducersMax = 10_000

	sequenceMask = 1<<31 - 1
)

// Producers is what the log's committed batches say about idempotent
// producers. It is a deterministic function of the descriptors applied.
type Producers struct {
	byID           map[int64]*producer
	oldest, newest *producer // by last append; append times never decrease
}

type producer struct {
	id             int64
	epoch          int16
	last           codec.Millis
	batches        []remembered // oldest first, at most BatchesRemembered
	older, younger *producer
}

// remembered is one batch of a producer.
type remembered struct {
	first, last int32 // sequences
	base        codec.Offset
	time        codec.Millis
}

// NewProducers is the empty table.
func NewProducers() *Producers { return &Producers{byID: map[int64]*producer{}} }

// Len is the number of producers remembered.
func (t *Producers) Len() int { return len(t.byID) }

// Apply takes the descriptor of the next committed batch. It forgets those
// who have been silent for ProducerRetention of log time.
func (t *Producers) Apply(d codec.Descriptor) {
	for t.oldest != nil && t.oldest.last < d.AppendTime-ProducerRetention {
		delete(t.byID, t.oldest.id)
		t.unlink(t.oldest)
	}
	if d.ProducerID < 0 {
		return
	}
	p := t.byID[d.ProducerID]
	switch {
	case p == nil:
		if len(t.byID) >= ProducersMax {
			delete(t.byID, t.oldest.id)
			t.unlink(t.oldest)
		}
		p = &producer{id: d.ProducerID, epoch: d.ProducerEpoch}
		t.byID[p.id] = p
	case d.ProducerEpoch < p.epoch: // the leader fences these: nothing to learn
		return
	default:
		t.unlink(p)
	}
	if p.epoch != d.ProducerEpoch {
		p.epoch, p.batches = d.ProducerEpoch, nil
	}
	p.last = d.AppendTime
	if len(p.batches) == BatchesRemembered {
		p.batches = append(p.batches[:0], p.batches[1:]...)
	}
	p.batches = append(p.batches, remember(d))
	t.link(p)
}

func remember(d codec.Descriptor) remembered {
	return remembered{first: d.BaseSequence, last: lastSequence(d.BaseSequence, d.Count), base: d.BaseOffset, time: d.AppendTime}
}

// lastSequence is the sequence of the last of count records. 2^31-1 is
// followed by 0.
func lastSequence(first, count int32) int32 {
	return int32((int64(first) + int64(count) - 1) & sequenceMask)
}

func (t *Producers) unlink(p *producer) {
	if p.older != nil {
		p.older.younger = p.younger
	} else {
		t.oldest = p.younger
	}
	if p.younger != nil {
		p.younger.older = p.older
	} else {
		t.newest = p.older
	}
	p.older, p.younger = nil, nil
}

func (t *Producers) link(p *producer) {
	p.older = t.newest
	if t.newest != nil {
		t.newest.younger = p
	} else {
		t.oldest = p
	}
	t.newest = p
}

const producersVersion = 1

// Export writes the table behind dst, for a snapshot or a sidecar: the same
// bytes for the same log. The caller adds a checksum.
func (t *Producers) Export(dst []byte) []byte {
	be := binary.BigEndian
	dst = be.AppendUint32(append(dst, producersVersion), uint32(len(t.byID)))
	for p := t.oldest; p != nil; p = p.younger {
		dst = be.AppendUint64(dst, uint64(p.id))
		dst = be.AppendUint16(dst, uint16(p.epoch))
		dst = be.AppendUint64(dst, uint64(p.last))
		dst = append(dst, byte(len(p.batches)))
		for _, b := range p.batches {
			dst = be.AppendUint32(dst, uint32(b.first))
			dst = be.AppendUint32(dst, uint32(b.last))
			dst = be.AppendUint64(dst, uint64(b.base))
			dst = be.AppendUint64(dst, uint64(b.time))
		}
	}
	return dst
}

const (
	producerBytes   = 8 + 2 + 8 + 1
	rememberedBytes = 4 + 4 + 8 + 8
)

// ImportProducers reads what Export wrote; p must be exactly that.
func ImportProducers(p []byte) (*Producers, error) {
	if len(p) < 5 || p[0] != producersVersion {
		return nil, fmt.Errorf("import producers: %d bytes, not of version %d", len(p), producersVersion)
	}
	t, n, p := NewProducers(), binary.BigEndian.Uint32(p[1:]), p[5:]
	for ; n > 0; n-- {
		entry, rest, err := importProducer(p)
		if err != nil {
			return nil, fmt.Errorf("import producers: %w", err)
		}
		if t.byID[entry.id] != nil || t.newest != nil && t.newest.last > entry.last {
			return nil, fmt.Errorf("import producers: producer %d is out of order", entry.id)
		}
		t.byID[entry.id] = entry
		t.link(entry)
		p = rest
	}
	if len(p) > 0 {
		return nil, fmt.Errorf("import producers: %d bytes too many", len(p))
	}
	return t, nil
}

func importProducer(p []byte) (*producer, []byte, error) {
	if len(p) < producerBytes {
		return nil, nil, fmt.Errorf("%d bytes cannot be a producer", len(p))
	}
	be := binary.BigEndian
	e := &producer{id: int64(be.Uint64(p)), epoch: int16(be.Uint16(p[8:])), last: codec.Millis(be.Uint64(p[10:]))}
	n, p := int(p[18]), p[producerBytes:]
	if e.id < 0 || n < 1 || n > BatchesRemembered || len(p) < n*rememberedBytes {
		return nil, nil, fmt.Errorf("producer %d with %d batches in %d bytes", e.id, n, len(p))
	}
	for ; n > 0; n-- {
		e.batches = append(e.batches, remembered{
			first: int32(be.Uint32(p)), last: int32(be.Uint32(p[4:])),
			base: codec.Offset(be.Uint64(p[8:])), time: codec.Millis(be.Uint64(p[16:])),
		})
		p = p[rememberedBytes:]
	}
	return e, p, nil
}
