package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/codec"
)

// ferryName is the id of the actor that takes requests to other brokers.
const ferryName = "ferry"

const (
	carryWithin = 10 * time.Second // from a batch's being sent to its answer
	// patience is how long batches wait for those before them that went to a broker
	// which leads no more.
	patience = time.Second
	// lookAfter is how much time there is between two looks at a batch that is not answered:
	// when another leads by then, the one that it was sent to may stand still.
	lookAfter = 250 * time.Millisecond
	waysMax   = 10_000 // of batches, and as many of looks
	// deadFor is how long nothing is sent to a broker that has ended: by then all here
	// know that it leads nothing any more.
	deadFor = time.Second
)

// ferry takes batches to the brokers that lead their partitions, asks those what is to be
// known of them, and does for others what they ask of this one. It keeps the way back of
// each until it is answered, its time is over or the other broker has ended, and uses it
// once.
type ferry struct {
	house    *house
	self     *actor.PID
	rows     map[codec.GroupID]*row
	ways     map[uint64]*way
	looks    map[uint64]*look
	arrivals arrivals
	last     uint64 // number of a way or a look; begins anywhere, so that no two lives of it use the same
	lastRow  uint64 // begins at the time of the start, so that those of a new life are above those before it
	// dead are brokers that have ended a moment ago: who is told to lead may not have
	// been told yet, and what is sent there comes back from nobody.
	dead  map[codec.NodeID]int
	ended bool
}

// Messages to the ferry.
type (
	// carry is a batch to be taken.
	carry struct {
		tp  codec.TopicPartition
		way *way
	}
	carryOver struct{ number uint64 }     // a way is to be looked at
	rowOver   struct{ of *row }           // the patience with a row is
	mourned   struct{ node codec.NodeID } // a broker has been dead for long enough
	arrived   struct {                    // a batch of another broker
		from   codec.NodeID
		parcel *codec.Parcel
	}
	endFerry struct{}
)

func (m *carry) refuse(err error) {
	if m.way.reply != nil {
		m.way.answer(codec.Produced{}, err)
	}
}

// answer uses the way back.
func (w *way) answer(p codec.Produced, err error) {
	if w.cancel != nil {
		w.cancel()
	}
	reply := w.reply
	w.reply, w.batch = nil, nil
	if reply != nil {
		reply(p, err)
	}
}

// Receive names what the ferry is told.
func (f *ferry) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		f.self = ctx.Self()
		f.rows, f.ways, f.looks = map[codec.GroupID]*row{}, map[uint64]*way{}, map[uint64]*look{}
		f.last, f.lastRow = f.house.random(), uint64(f.house.clock.Now())<<16
	case *actor.Restarting:
		f.fall()
	case *carry:
		f.carry(m)
	case *codec.Receipt:
		f.receipt(m)
	case carryOver:
		f.lookAt(m.number)
	case *rowOver:
		f.rowOver(m.of)
	case *arrived:
		f.arrived(m)
	case *look:
		f.look(m)
	case *letLook:
		f.letLook(m.of)
	case lookOver:
		f.endLook(m.number, nil, noSight(f.looks[m.number], "it has not answered in time"))
	case *codec.Sight:
		f.sight(m)
	case *lookedAt:
		f.lookedAt(m)
	case *gone:
		f.gone(m.node)
	case mourned:
		if f.dead[m.node]--; f.dead[m.node] <= 0 {
			delete(f.dead, m.node)
		}
	case endFerry:
		f.end()
	}
}

func (f *ferry) post(m any) { f.house.send(f.self, m) }

// carry sends a batch, or holds it while others of its partition are on their way to
// another broker than the one that leads now.
func (f *ferry) carry(m *carry) {
	w, to := m.way, f.house.leaderOf(m.way.group).node
	here := f.house.handles()[w.group]
	r := f.rows[w.group]
	switch {
	case f.ended:
		w.answer(codec.Produced{}, errStopping)
	case len(f.ways) >= waysMax:
		w.answer(codec.Produced{}, codec.Errorf(codec.Overloaded, "%d batches are on their way to other brokers", len(f.ways)))
	case to == "" || f.dead[to] > 0:
		w.answer(codec.Produced{}, codec.Errorf(codec.Unavailable, "%s has no leader that is known here", m.tp))
	case to != f.house.node && here != nil && here.here.Load() > 0:
		// Those before it are not answered yet that went to the replica here.
		w.answer(codec.Produced{}, f.house.ledBy(m.tp, to))
	default:
		f.last++
		w.number = f.last
		f.ways[w.number] = w
		if r == nil {
			r = &row{}
			f.rows[w.group] = r
		}
		f.enter(r, w, to)
	}
}

// enter puts a way into its row.
func (f *ferry) enter(r *row, w *way, to codec.NodeID) {
	if len(r.held) > 0 || len(r.sent) > 0 && r.to != to {
		r.held = append(r.held, w)
		if r.cancel == nil {
			r.cancel = f.house.clock.After(patience, func() { f.post(&rowOver{r}) })
		}
		return
	}
	if r.to != to || r.number == 0 {
		f.begin(r, to)
	}
	w.row, w.place = r.number, r.next
	r.next++
	r.sent = append(r.sent, w)
	f.lookLater(w)
	p := codec.Parcel{Cluster: f.house.cluster, Number: w.number, Group: w.group, Row: r.number, Place: w.place, Batch: w.batch}
	if to == f.house.node {
		f.arrived(&arrived{to, &p})
		return
	}
	f.house.link.Send(to, p.Encode())
}

func (f *ferry) lookLater(w *way) {
	number := w.number
	w.cancel = f.house.clock.After(lookAfter, func() { f.post(carryOver{number}) })
}

// lookAt gives a batch up that was not answered in time, or, when it has had a while,
// whose broker leads no more.
func (f *ferry) lookAt(number uint64) {
	w := f.ways[number]
	if w == nil {
		return
	}
	w.looks++
	waited, leader := time.Duration(w.looks)*lookAfter, f.house.leaderOf(w.group).node
	switch {
	case waited >= carryWithin:
		f.lose(w, "it was not answered in time")
	case waited >= patience && leader != "" && leader != f.rows[w.group].to:
		f.lose(w, "it leads no more and has not answered")
	default:
		f.lookLater(w)
	}
}

// begin makes r a new row.
func (f *ferry) begin(r *row, to codec.NodeID) {
	f.lastRow++
	r.to, r.number, r.next = to, f.lastRow, 0
}

// receipt is the answer to a batch that was sent.
func (f *ferry) receipt(m *codec.Receipt) {
	w := f.ways[m.Number]
	if w == nil {
		return
	}
	r := f.rows[w.group]
	err := f.why(w.group, r.to, &m.Outcome)
	switch {
	case m.Row > f.lastRow: // another life of this broker has come further there
		f.lastRow = m.Row
		f.lose(r.sent[0], "an earlier start of this broker has sent others")
	case m.Row > w.row: // it came twice, and the second time late
	case m.Row != 0: // and nothing of it is taken any more from there on
		for i, one := range r.from(m.Row, m.Place) {
			if i > 0 {
				err = codec.Errorf(codec.Unavailable, "a batch before it was not taken: %v", err)
			}
			f.finish(one, codec.Produced{}, err)
		}
		if r.number == m.Row {
			f.begin(r, r.to)
		}
		f.goOn(w.group, r)
	case r.take(w):
		f.finish(w, m.Produced, err)
		f.goOn(w.group, r)
	}
}

// why makes an error of an outcome, and learns from it who leads.
func (f *ferry) why(g codec.GroupID, from codec.NodeID, o *codec.Outcome) error {
	if o.Code == codec.OK {
		return nil
	}
	e := &codec.Error{Code: o.Code, Message: o.Message}
	if o.Code != codec.NotLeader {
		return e
	}
	m := &toldLeader{group: g, leader: lead{o.Leader, o.Term}}
	if was := f.house.leaderOf(g); was.node == from && o.Leader != from {
		m.denied = was
	}
	f.house.send(f.house.herald, m)
	if o.Leader != "" {
		e.Leader = f.house.addressOf(o.Leader)
	}
	return e
}

func (f *ferry) finish(w *way, p codec.Produced, err error) {
	delete(f.ways, w.number)
	w.answer(p, err)
}

// goOn sends what was held when nothing before it is on its way any more, and lets go of
// a row that has nothing left.
func (f *ferry) goOn(g codec.GroupID, r *row) {
	if len(r.sent) > 0 {
		return
	}
	if r.cancel != nil {
		r.cancel()
		r.cancel = nil
	}
	held := r.held
	r.held = nil
	to := f.house.leaderOf(g).node
	for _, w := range held {
		if to == "" || f.dead[to] > 0 {
			f.finish(w, codec.Produced{}, codec.Errorf(codec.Unavailable, "there is no leader that is known here"))
			continue
		}
		f.enter(r, w, to)
	}
	if len(r.sent) == 0 && len(r.held) == 0 && f.rows[g] == r {
		delete(f.rows, g)
	}
}
