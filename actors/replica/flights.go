package replica

import "github.com/troupe-mq/troupe/codec"

// flights lies over the table of producers: the batches of each producer that
// this leader took and that are not yet committed, oldest first. A change of
// role or term drops it whole.
type flights map[int64][]flight

// flight is one batch on its way.
type flight struct {
	in *proposal
	at int // among its items
}

func (f flight) item() *item { return &f.in.items[f.at] }

func (f *flights) add(p *proposal, at int) {
	id := p.items[at].desc.ProducerID
	if id < 0 {
		return
	}
	if *f == nil {
		*f = flights{}
	}
	(*f)[id] = append((*f)[id], flight{p, at})
}

// remove takes out what is in p: of each of its producers the oldest, when it is
// committed, or the newest, when it was not taken.
func (f flights) remove(p *proposal) {
	for i := range p.items {
		d := &p.items[i].desc
		if d.Count == 0 || d.ProducerID < 0 {
			continue
		}
		of := f[d.ProducerID]
		switch last := len(of) - 1; {
		case last <= 0:
			delete(f, d.ProducerID)
		case of[0].in == p:
			of[0] = flight{}
			f[d.ProducerID] = of[1:]
		default:
			of[last] = flight{}
			f[d.ProducerID] = of[:last]
		}
	}
}

// repeated checks the sequence of an idempotent batch. It is done when the
// batch is not to be appended: a duplicate, which has or shares its answer
// (nil), or one refused.
func (m *Mind) repeated(b codec.Batch, token any) (done bool, err error) {
	id, epoch, first := b.ProducerID(), b.ProducerEpoch(), b.BaseSequence()
	if id < 0 || codec.Mutant("dedup-dropped") {
		return false, nil
	}
	if epoch < 0 || first < 0 {
		return true, codec.Errorf(codec.InvalidArgument, "producer %d with epoch %d and sequence %d: neither may be negative", id, epoch, first)
	}
	w := m.window(id)
	switch {
	case !w.known && first != 0:
		return true, codec.Errorf(codec.SequenceGap, "producer %d, which is not known here, begins with sequence %d, want 0", id, first)
	case !w.known:
		return false, nil
	case epoch < w.epoch && codec.Mutant("epoch-not-looked-at"):
		return false, nil
	case epoch < w.epoch:
		return true, codec.Errorf(codec.Fenced, "producer %d has epoch %d here, the batch is of epoch %d", id, w.epoch, epoch)
	case epoch > w.epoch && first != 0:
		return true, codec.Errorf(codec.SequenceGap, "producer %d begins epoch %d with sequence %d, want 0", id, epoch, first)
	case epoch > w.epoch:
		return false, nil
	}
	done, err = w.follows(id, first)
	if !done {
		return false, nil // the usual case: however many are in flight, none begins there
	}
	last := lastSequence(first, b.Count())
	for _, f := range w.flying {
		if it := f.item(); it.desc.ProducerEpoch == epoch && it.desc.BaseSequence == first && it.desc.Count == b.Count() {
			it.again = append(it.again, token)
			return true, nil
		}
	}
	for _, r := range w.applied {
		if r.first == first && r.last == last {
			m.answers = append(m.answers, Answer{Token: token, Base: r.base, AppendTime: r.time})
			return true, nil
		}
	}
	return true, err
}

// window is what is known of one producer, in its newest epoch.
type window struct {
	known   bool
	epoch   int16
	last    int32 // sequence
	applied []remembered
	flying  []flight
}

func (m *Mind) window(id int64) window {
	var w window
	if p := m.producers.byID[id]; p != nil {
		w = window{known: true, epoch: p.epoch, last: p.batches[len(p.batches)-1].last, applied: p.batches}
	}
	w.flying = m.flights[id]
	if codec.Mutant("dedup-forgets-flights") {
		w.flying = nil
	}
	if n := len(w.flying); n > 0 {
		d := w.flying[n-1].item().desc
		if d.ProducerEpoch != w.epoch {
			w.applied = nil
		}
		w.known, w.epoch, w.last = true, d.ProducerEpoch, lastSequence(d.BaseSequence, d.Count)
	}
	return w
}

// follows says whether first is the sequence that the producer owes next.
func (w window) follows(id int64, first int32) (done bool, err error) {
	want := int32((int64(w.last) + 1) & sequenceMask)
	ahead := (int64(first) - int64(want)) & sequenceMask // round the circle of 2^31
	switch {
	case ahead == 0:
		return false, nil
	case ahead > sequenceMask/2:
		return true, codec.Errorf(codec.DuplicateSequence, "producer %d sent sequence %d again: it is at %d and its last %d batches are remembered", id, first, want, BatchesRemembered)
	}
	if codec.Mutant("sequence-gap-taken") {
		return false, nil
	}
	return true, codec.Errorf(codec.SequenceGap, "producer %d sent sequence %d, %d is due", id, first, want)
}
