package actors

import (
	"errors"
	"slices"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/codec"
)

// produce proposes a batch. The flush behind it, and behind all that wait
// with it, makes one append of them.
func (p *Partition) produce(m *Produce) {
	if m.paid == nil {
		m.refuse(codec.Errorf(codec.Overloaded, "a batch was sent to %s without credit: use a handle", p.seat.name))
		return
	}
	if err := p.refusal(); err != nil {
		m.refuse(err)
		return
	}
	if p.undecided() && !p.waiting.over {
		p.hold(m)
		return
	}
	batch := m.batch
	if p.replicated() && !codec.Mutant("batch-not-copied") {
		// It is kept for other replicas beyond the answer, when its memory is
		// its owner's again.
		batch = slices.Clone(batch)
	}
	p.requests.add(m)
	if err := p.mind.Produce(p.house.clock.Now(), batch, m); err != nil {
		p.requests.remove(m)
		if codec.CodeOf(err) == codec.Fenced {
			p.house.seen(SeenFenced)
		}
		m.refuse(p.hint(err))
		return
	}
	p.flushSoon()
}

// hint names the broker that leads, in an error that says another does.
func (p *Partition) hint(err error) error {
	var e *codec.Error
	if !errors.As(err, &e) || e.Code != codec.NotLeader {
		return err
	}
	node, _ := p.nodeOf(p.mind.Role().Lead)
	return &codec.Error{Code: e.Code, Message: e.Message, Leader: p.house.addressOf(node)}
}

// propose proposes an entry that is no batch.
func (p *Partition) propose(m *propose) {
	if err := p.refusal(); err != nil {
		m.refuse(err)
		return
	}
	p.requests.add(m)
	if err := p.mind.Propose(m.data, m); err != nil {
		p.requests.remove(m)
		m.refuse(p.hint(err))
		return
	}
	p.flushSoon()
}

// refusal is why nothing can be written now; nil when the mind is to be asked.
func (p *Partition) refusal() error {
	switch {
	case p.disk.closed:
		return codec.Errorf(codec.Stopping, "the broker is stopping")
	case p.trouble != nil:
		return p.trouble
	case p.mind == nil:
		return unavailable(p.seat.name)
	case p.mute:
		return codec.Errorf(codec.Unavailable, "the disk of %s has not answered for %s: another replica is to lead", p.seat.name, hangAfter)
	case p.disk.oldest(p.house.clock.Now()) > codec.Millis(stallAfter.Milliseconds()):
		return codec.Errorf(codec.Unavailable, "the disk of %s has not answered for %s", p.seat.name, stallAfter)
	}
	return nil
}

func (p *Partition) flushSoon() {
	if p.flushing {
		return
	}
	p.flushing = true
	p.post(flush{})
}

func (p *Partition) flush() {
	p.flushing = false
	if p.mind != nil {
		p.carryOut(p.mind.Take())
	}
}

// persist hands an append to the disk.
func (p *Partition) persist(a *replica.Append) {
	p.wrote = true
	p.noteCut(a)
	p.keepPayloads(a)
	if a.Snapshot != nil {
		p.install(a)
		return
	}
	p.disk.write(a)
}

// noteCut notes that an append replaces what the log ended with.
func (p *Partition) noteCut(a *replica.Append) {
	n := len(a.Entries)
	if n == 0 {
		return
	}
	if a.Entries[0].Index <= p.given {
		p.house.tallies.suffixesCut.Add(1)
		p.house.seen(SeenCut)
	}
	p.given = a.Entries[n-1].Index
}

// persisted goes on with what was waiting for the disk: the promises that rest
// on the append are made now.
func (p *Partition) persisted(m *persisted) {
	if m.life != p.disk.life || p.mind == nil {
		return
	}
	if m.err != nil {
		p.diskTrouble(m.err)
		return
	}
	p.disk.wrote()
	p.disk.index.Add(m.write.Entries)
	if n := len(m.write.Entries); n > 0 {
		p.payloads.written(m.write.Entries[n-1].Index, m.write.Entries[n-1].Term)
	}
	p.mind.Persisted(m.append)
	p.carryOut(p.mind.Take())
}

// stepDone hears of a job of the disk that was no append.
func (p *Partition) stepDone(m *stepDone) {
	if m.life != p.disk.life {
		return
	}
	if m.err != nil {
		p.diskTrouble(m.err)
		return
	}
	if m.then != nil {
		m.then()
	}
}
