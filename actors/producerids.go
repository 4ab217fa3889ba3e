package actors

import (
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// producerIDsAtOnce is how many ids the keeper takes from the metadata at a time.
// Those that it did not give out when it ends are never given.
const producerIDsAtOnce = 1000

// producerIDs are what the keeper has of ids for idempotent producers: a block
// that the metadata gave to nobody else.
type producerIDs struct {
	next, limit int64
	asking      bool
	waiting     []func(int64, error)
}

type (
	// newProducer asks the keeper for an id.
	newProducer struct{ reply func(int64, error) }
	// allocated is a block of ids, or why there is none.
	allocated struct {
		first int64
		err   error
	}
)

// NewProducer gives an idempotent producer its id, which no other ever had. reply
// is called once, from any goroutine, and must not wait.
func (b *Broker) NewProducer(reply func(id int64, err error)) {
	b.house.toBroker(&newProducer{reply})
}

func (k *keeper) newProducer(m *newProducer) {
	if k.leaving != nil {
		m.reply(0, errStopping)
		return
	}
	p := &k.producers
	p.waiting = append(p.waiting, m.reply)
	p.give()
	if len(p.waiting) == 0 || p.asking {
		return
	}
	p.asking = true
	k.house.decide(cluster.AllocateProducerIDs{Count: producerIDsAtOnce}, func(r cluster.Result, err error) {
		k.post(&allocated{r.FirstProducerID, err})
	})
}

// allocated serves those who wait. An error is theirs too: they ask again.
func (k *keeper) allocated(m *allocated) {
	p := &k.producers
	p.asking = false
	if m.err != nil {
		waiting := p.waiting
		p.waiting = nil
		for _, reply := range waiting {
			reply(0, notUnknown(m.err))
		}
		return
	}
	p.next, p.limit = m.first, m.first+producerIDsAtOnce
	p.give()
}

// give answers those who wait while there are ids.
func (p *producerIDs) give() {
	for len(p.waiting) > 0 && p.next < p.limit {
		id := p.next
		p.next++
		reply := p.waiting[0]
		p.waiting = p.waiting[1:]
		reply(id, nil)
	}
}

// notUnknown is err, as it looks to who can simply ask again: a block that may
// have been given and was lost does no harm.
func notUnknown(err error) error {
	if codec.CodeOf(err) == codec.Unknown {
		return codec.Errorf(codec.Unavailable, "no producer id could be had: %v", err)
	}
	return err
}
