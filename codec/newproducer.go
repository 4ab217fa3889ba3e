package codec

import "math"

// NewProducer asks for the identity of an idempotent producer: one that no other
// ever had. The answer is ProducerIdentity.
type NewProducer struct{ Empty }

// Op is OpNewProducer.
func (NewProducer) Op() Op { return OpNewProducer }

// ProducerIdentity answers NewProducer. The producer writes it, and sequences
// that count its records of each partition from 0, into its batches: then one
// that is sent again is stored once.
type ProducerIdentity struct {
	ID    int64
	Epoch int16 // to begin with; a producer may go on to higher ones by itself
}

func (i *ProducerIdentity) pack(p *packer) {
	p.mapping(2)
	p.keyInt("producer_id", i.ID)
	p.keyInt("epoch", int64(i.Epoch))
}

func (i *ProducerIdentity) unpack(u *unpacker) {
	u.mapping("answer to NEW_PRODUCER", func(key string) bool {
		switch key {
		case "producer_id":
			i.ID = u.int("producer_id", 0, int64Max)
		case "epoch":
			i.Epoch = int16(u.int("epoch", 0, math.MaxInt16))
		default:
			return false
		}
		return true
	})
}
