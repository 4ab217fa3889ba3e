package actors

import (
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// way is a batch that goes to another broker, and the way back of its answer, which
// is used once.
type way struct {
	number uint64
	group  codec.GroupID
	batch  codec.Batch
	row    uint64 // in which it was sent
	place  uint64 // in that
	reply  func(codec.Produced, error)
	cancel func() // of the next look at it
	looks  int    // that were taken
}

// row is the batches of one group that are on their way to one broker, in order. A row
// that has lost one takes no more: what comes behind begins another.
type row struct {
	to     codec.NodeID
	number uint64
	next   uint64 // place of the next
	sent   []*way // without an answer
	held   []*way // wait until those have one, for they go to another broker
	cancel func() // of the patience with those that were sent, when others are held
}

// since takes out a way that was sent, and all behind it.
func (r *row) since(w *way) []*way {
	i := slices.Index(r.sent, w)
	if i < 0 {
		return nil
	}
	behind := slices.Clone(r.sent[i:])
	clear(r.sent[i:])
	r.sent = r.sent[:i]
	return behind
}

// from takes out those of a row number that were not taken from place on. Those before
// them were, and have their answers still to come.
func (r *row) from(number, place uint64) (all []*way) {
	r.sent = slices.DeleteFunc(r.sent, func(w *way) bool {
		out := w.row == number && w.place >= place
		if out {
			all = append(all, w)
		}
		return out
	})
	return all
}

// take takes one way out; false when it is not there any more.
func (r *row) take(w *way) bool {
	i := slices.Index(r.sent, w)
	if i < 0 {
		return false
	}
	r.sent = slices.Delete(r.sent, i, i+1)
	return true
}

// arrivals are the rows that come from other brokers: of each sender and group the
// newest, and how far it was taken.
type arrivals struct {
	rows map[arrivalOf]*arrival
}

type arrivalOf struct {
	from  codec.NodeID
	group codec.GroupID
}

type arrival struct {
	row    uint64
	next   uint64
	broken bool // nothing of it is taken any more
}

// verdict is what becomes of a parcel that arrives.
type verdict int

const (
	takeIt   verdict = iota
	seenIt           // it came before, and is answered then
	brokenIt         // one before it is missing, or was refused
	oldRow           // its sender has begun another row
)

// judge says what becomes of a parcel.
func (a *arrivals) judge(from codec.NodeID, p *codec.Parcel) (*arrival, verdict) {
	key := arrivalOf{from, p.Group}
	r := a.rows[key]
	if r == nil || p.Row > r.row {
		if a.rows == nil {
			a.rows = map[arrivalOf]*arrival{}
		}
		// Whoever has just started does not know what it took before: it says nothing
		// of what is not shown to it.
		r = &arrival{row: p.Row, next: p.Place, broken: p.Place > 0}
		a.rows[key] = r
		if r.broken {
			return r, brokenIt
		}
	}
	switch {
	case p.Row < r.row:
		return r, oldRow
	case p.Place < r.next:
		return r, seenIt
	case r.broken || p.Place > r.next:
		r.broken = true
		return r, brokenIt
	}
	r.next++
	return r, takeIt
}
