package actors

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// courier brings commands to whoever leads the metadata group, here or on
// another broker, and their outcomes back. It keeps the way back of each
// command until it is answered or its time is over, and uses it once. A leader that
// dies, or is one no more, is not waited for: the next one is asked. That can do
// nothing twice, for each command either changes nothing when it comes again or has an
// ID by which the metadata know it.
type courier struct {
	house   *house
	meta    *Handle
	self    *actor.PID
	errands map[uint64]*errand
	asks    map[uint64]*errand // by the number of its last letter
	landed  []*errand          // carried out, and not yet seen here
	last    uint64             // begins anywhere, so that no two lives of a broker use the same
	gone    codec.NodeID       // whose process has ended, as was said a moment ago
}

const (
	errandWithin = 10 * time.Second       // from a command's being given to its answer
	errandAgain  = 100 * time.Millisecond // between tries while nobody leads
	errandAsk    = 500 * time.Millisecond // between looks whether whom was asked still leads
	errandLooks  = 6                      // after which a letter counts as lost
	errandsMax   = 10_000
	// goneFor is how long nothing is sent to a broker that has ended: by then the
	// others have another leader, or it is back.
	goneFor = 2 * time.Second
)

// errand is a command on its way.
type errand struct {
	number  uint64
	to      codec.NodeID // whom it is for, whoever leads; empty for the leader
	letter  uint64       // number of the last that left
	command []byte       // a cluster.Command
	reply   func(cluster.Result, error)
	asked   codec.NodeID // whom
	looks   int          // at whether there is an answer
	left    bool         // it may have reached somebody
	doubt   bool         // so may one of the tries before, of which nothing was heard
	result  cluster.Result
	why     error // of the last try, when it came to nothing; nil while one is under way
}

// Messages to the courier, beside an errand to be done and a codec.AskAnswer.
type (
	// asked is the command of another broker, which takes this one for the
	// leader.
	asked struct {
		from codec.NodeID
		ask  *codec.Ask
	}
	// carried is the outcome of a command that was proposed here.
	carried struct {
		number uint64
		result cluster.Result
		err    error
	}
	tryAgain struct{ number uint64 }
	// unanswered has the courier look at a letter that has left.
	unanswered struct{ number, letter uint64 }
	overdue    struct{ number uint64 }
	// forgiven says that a broker that had ended may be back.
	forgiven struct{ node codec.NodeID }
)

// Receive names what the courier is told.
func (c *courier) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.self = ctx.Self()
	case *errand:
		c.take(m)
	case *carried:
		c.carried(m.number, m.result, m.err)
	case *codec.AskAnswer:
		c.answered(m)
	case *asked:
		c.asked(m)
	case tryAgain:
		if e := c.errands[m.number]; e != nil {
			c.try(e)
		}
	case unanswered:
		c.unanswered(m)
	case *gone:
		c.lost(m.node)
	case forgiven:
		if c.gone == m.node {
			c.gone = ""
		}
	case overdue:
		c.overdue(m.number)
	case metadataChanged:
		c.arrive()
	}
}

func (c *courier) post(m any) { c.house.send(c.self, m) }

func (c *courier) later(d time.Duration, m any) { c.house.clock.After(d, func() { c.post(m) }) }

func (c *courier) take(e *errand) {
	if len(c.errands) >= errandsMax {
		e.reply(cluster.Result{}, codec.Errorf(codec.Overloaded, "%d commands wait for the metadata's leader", len(c.errands)))
		return
	}
	c.last++
	e.number = c.last
	c.errands[e.number] = e
	c.later(errandWithin, overdue{e.number})
	c.try(e)
}

// try goes once: here when the metadata is led here, or where it is led.
func (c *courier) try(e *errand) {
	s := c.meta.state.Load()
	lead := s.lead
	if lead == c.gone {
		lead = ""
	}
	if e.to != "" {
		lead = e.to
	}
	e.doubt = e.doubt || e.left
	switch {
	case s.leader && e.to == "":
		e.why, e.left = nil, false // of this try nobody knows what becomes of it
		c.propose(e.command, func(r cluster.Result, err error) { c.post(&carried{e.number, r, err}) })
	case lead != "" && c.house.link != nil:
		delete(c.asks, e.letter)
		c.last++
		e.left, e.letter, e.asked, e.looks = true, c.last, lead, 0
		c.asks[e.letter] = e
		ask := codec.Ask{Cluster: c.house.cluster, Number: e.letter, Command: e.command}
		c.house.link.Send(lead, [][]byte{ask.Encode()})
		c.later(errandAsk, unanswered{e.number, e.letter})
	case s.write != nil && c.house.link == nil:
		c.end(e, cluster.Result{}, s.write)
	default:
		e.left, e.why = false, codec.Errorf(codec.Unavailable, "the metadata has no leader now")
		c.later(c.house.jitter(errandAgain), tryAgain{e.number})
	}
}

// propose has the replica here decide.
func (c *courier) propose(command []byte, reply func(cluster.Result, error)) {
	command = c.placing(command)
	m := &propose{data: codec.AppendCommandEntry(nil, command), reply: func(result any, err error) {
		if err != nil {
			reply(cluster.Result{}, err)
			return
		}
		d := result.(decided)
		reply(d.result, d.err)
	}}
	c.meta.tell(m, m.refuse)
}

// placing adds to a command that chooses nodes whom the leader does not hear.
func (c *courier) placing(command []byte) []byte {
	silent := c.house.silent.Load()
	if silent == nil || len(*silent) == 0 {
		return command
	}
	one, err := cluster.DecodeCommand(command)
	if err != nil {
		panic("actors: a command to be proposed does not hold: " + err.Error())
	}
	return one.Placing(*silent).Encode()
}

// carried is the outcome of one try.
func (c *courier) carried(number uint64, r cluster.Result, err error) {
	e := c.errands[number]
	switch {
	case e == nil: // its time was over
	case err == nil:
		e.result = r
		c.landed = append(c.landed, e)
		c.arrive()
	case c.house.link != nil && e.to == "" && (tryElsewhere(err) || codec.CodeOf(err) == codec.Unknown):
		e.left, e.why = false, err
		e.doubt = e.doubt || codec.CodeOf(err) == codec.Unknown
		c.later(c.house.jitter(errandAgain), tryAgain{number})
	default:
		c.end(e, cluster.Result{}, err)
	}
}

// tryElsewhere says that a command was not carried out, and may be somewhere
// else or later.
func tryElsewhere(err error) bool {
	code := codec.CodeOf(err)
	return code == codec.NotLeader || code == codec.Unavailable || code == codec.Stopping
}

// answered is what another broker says to the last letter about an errand. An
// answer to an older letter says nothing, nor does one that comes again.
func (c *courier) answered(m *codec.AskAnswer) {
	e := c.asks[m.Number]
	if e == nil {
		return
	}
	delete(c.asks, m.Number)
	var err error
	if m.Err != nil {
		err = m.Err
	}
	c.carried(e.number, cluster.Result{Revision: m.Revision, FirstProducerID: m.FirstProducerID}, err)
}

// unanswered asks again when whom was asked does not lead any more, or the letter
// must have been lost.
func (c *courier) unanswered(m unanswered) {
	e := c.errands[m.number]
	if e == nil || e.letter != m.letter || c.asks[m.letter] != e {
		return
	}
	e.looks++
	if s := c.meta.state.Load(); e.to == "" && (s.leader || s.lead != e.asked) || e.looks >= errandLooks {
		c.again(e)
		return
	}
	c.later(errandAsk, m)
}

// lost asks another leader for what was asked of a broker that has ended.
func (c *courier) lost(node codec.NodeID) {
	c.gone = node
	c.later(goneFor, forgiven{node})
	for _, number := range slices.Sorted(maps.Keys(c.errands)) {
		if e := c.errands[number]; e.asked == node && c.asks[e.letter] == e {
			c.again(e)
		}
	}
}

// again gives a letter up, and tries once more.
func (c *courier) again(e *errand) {
	delete(c.asks, e.letter)
	if e.to != "" {
		c.end(e, cluster.Result{}, codec.Errorf(codec.Unavailable, "%s has not answered", e.to))
		return
	}
	c.try(e)
}

// arrive answers commands whose effect can be seen here, so that whoever asked
// finds what it asked for.
func (c *courier) arrive() {
	s := c.house.state()
	keep := c.landed[:0]
	for _, e := range c.landed {
		if s == nil || s.Revision < e.result.Revision {
			keep = append(keep, e)
			continue
		}
		c.end(e, e.result, nil)
	}
	clear(c.landed[len(keep):])
	c.landed = keep
}

// overdue ends a command whose time is over. One that was carried out, and
// whose effect has not come here yet, was.
func (c *courier) overdue(number uint64) {
	e := c.errands[number]
	if e == nil {
		return
	}
	for i, l := range c.landed {
		if l == e {
			c.landed = append(c.landed[:i], c.landed[i+1:]...)
			c.end(e, e.result, nil)
			return
		}
	}
	switch {
	case e.left || e.doubt:
		c.end(e, cluster.Result{}, codec.Errorf(codec.Unknown, "the metadata's leader has not answered within %s: it may or may not have been decided", errandWithin))
	case e.why != nil:
		c.end(e, cluster.Result{}, e.why)
	default: // proposed here, and its replica will say what became of it
		c.end(e, cluster.Result{}, codec.Errorf(codec.Unknown, "the metadata was not written within %s: it may or may not have been decided", errandWithin))
	}
}

func (c *courier) end(e *errand, r cluster.Result, err error) {
	delete(c.errands, e.number)
	delete(c.asks, e.letter)
	e.reply(r, err)
}

// asked proposes what another broker asks for, and answers it.
func (c *courier) asked(m *asked) {
	answer := func(r cluster.Result, err error) {
		a := codec.AskAnswer{Cluster: c.house.cluster, Number: m.ask.Number, Revision: r.Revision, FirstProducerID: r.FirstProducerID}
		var coded *codec.Error
		if errors.As(err, &coded) {
			a.Err = coded
		} else if err != nil {
			a.Err = codec.Errorf(codec.Internal, "%v", err)
		}
		c.house.link.Send(m.from, [][]byte{a.Encode()})
	}
	command, err := cluster.DecodeCommand(m.ask.Command)
	if err != nil {
		answer(cluster.Result{}, codec.Errorf(codec.InvalidArgument, "%v", err))
		return
	}
	if why := c.removed(command.Do); why != nil {
		answer(cluster.Result{}, why)
		return
	}
	if !c.meta.state.Load().leader {
		answer(cluster.Result{}, codec.Errorf(codec.NotLeader, "the metadata is not led here"))
		return
	}
	c.propose(m.ask.Command, answer)
}

// removed says why a broker that wants to register is none of the cluster, as everyone
// knows: it may not find a leader any more that would tell it.
func (c *courier) removed(do cluster.Action) error {
	r, registers := do.(cluster.RegisterNode)
	if s := c.house.state(); registers && s != nil {
		return s.Disowned(r.Disk)
	}
	return nil
}
