package check

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// Check lists every violation in h, log by log, in the order of offsets.
func Check(h History) []Violation {
	c := checker{logs: map[codec.TopicPartition]*log{}, sent: map[uint64]*Produce{}}
	for i := range h.Produces {
		p := &h.Produces[i]
		if c.sent[p.Token] != nil {
			panic(fmt.Sprintf("check: two records were sent with token %d", p.Token))
		}
		c.sent[p.Token] = p
		l := c.log(p.Log)
		l.produces = append(l.produces, p)
	}
	for i := range h.Reads {
		l := c.log(h.Reads[i].Log)
		l.reads = append(l.reads, &h.Reads[i])
	}
	for _, tp := range c.order {
		l := c.logs[tp]
		l.start = h.Start[tp]
		c.places(l)
		c.invented(l)
		c.missing(l, h.Complete)
		c.sessions(l)
		c.realtime(l)
		c.sequences(l)
	}
	slices.SortStableFunc(c.found, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Log.Topic, b.Log.Topic), cmp.Compare(a.Log.Partition, b.Log.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return c.found
}

type checker struct {
	logs  map[codec.TopicPartition]*log
	order []codec.TopicPartition
	sent  map[uint64]*Produce
	found []Violation
}

// log is the part of a history that is about one log.
type log struct {
	produces []*Produce
	reads    []*Read
	start    codec.Offset
	at       map[codec.Offset]content  // what stands where, by the first who said so
	offsets  []codec.Offset            // keys of at, ascending
	where    map[uint64][]codec.Offset // token → the offsets it was seen at
	seen     map[uint64]bool           // tokens that were read
	highest  codec.Offset              // that was read; -1 before any
}

type content struct{ token, value uint64 }

func (c *checker) log(tp codec.TopicPartition) *log {
	l := c.logs[tp]
	if l == nil {
		l = &log{at: map[codec.Offset]content{}, where: map[uint64][]codec.Offset{}, seen: map[uint64]bool{}, highest: -1}
		c.logs[tp] = l
		c.order = append(c.order, tp)
	}
	return l
}

func (c *checker) add(a Anomaly, tp codec.TopicPartition, o codec.Offset, token uint64, format string, args ...any) {
	c.found = append(c.found, Violation{a, tp, o, token, fmt.Sprintf(format, args...)})
}

// places gathers what stands at which offset, from reads and
// acknowledgements, and finds two things at one place and one thing at two.
func (c *checker) places(l *log) {
	for _, r := range l.reads {
		c.place(l, r.Log, r.Offset, content{r.Token, r.Value}, "read by "+r.Session)
		l.seen[r.Token] = true
		l.highest = max(l.highest, r.Offset)
	}
	for _, p := range l.produces {
		if p.Outcome == OK && !p.Somewhere {
			c.place(l, p.Log, p.Offset, content{p.Token, p.Value}, "acknowledged")
		}
	}
	for o := range l.at {
		l.offsets = append(l.offsets, o)
	}
	slices.Sort(l.offsets)
}

func (c *checker) place(l *log, tp codec.TopicPartition, o codec.Offset, is content, how string) {
	if was, known := l.at[o]; known && was != is {
		c.add(InconsistentOffsets, tp, o, is.token, "%s there with hash %x, where record %d with hash %x stands", how, is.value, was.token, was.value)
		return
	} else if known {
		return
	}
	l.at[o] = is
	seen := l.where[is.token]
	l.where[is.token] = append(seen, o)
	times := 1
	if p := c.sent[is.token]; p != nil {
		times = max(1, p.Attempts)
	}
	if len(seen) >= times {
		c.add(Duplicate, tp, o, is.token, "%s there and seen at %v, and it was sent %d times", how, seen, times)
	}
}

// invented finds reads of what nobody sent.
func (c *checker) invented(l *log) {
	said := map[content]bool{}
	for _, r := range l.reads {
		is := content{r.Token, r.Value}
		p := c.sent[r.Token]
		why := ""
		switch {
		case p == nil:
			why = "nobody sent it"
		case p.Log != r.Log:
			why = "it was sent to " + p.Log.String()
		case p.Value != r.Value:
			why = fmt.Sprintf("it was sent with hash %x and read with %x", p.Value, r.Value)
		case p.Outcome == Failed:
			why = "its producer was told that it was not stored"
		case p.Call > r.Return:
			why = "it was read before it was sent"
		}
		if why != "" && !said[is] {
			said[is] = true
			c.add(Invented, r.Log, r.Offset, r.Token, "%s", why)
		}
	}
}

// missing finds acknowledged records that nobody read.
func (c *checker) missing(l *log, complete bool) {
	for _, p := range l.produces {
		if p.Outcome != OK || l.seen[p.Token] || !p.Somewhere && p.Offset < l.start {
			continue
		}
		if p.Somewhere {
			if complete && l.start == 0 {
				c.add(Unseen, p.Log, 0, p.Token, "acknowledged at %d without an offset, and not there when all was read to the end (%d)", p.Return, l.highest)
			}
			continue
		}
		if p.Offset <= l.highest {
			c.add(LostWrite, p.Log, p.Offset, p.Token, "acknowledged at %d, never read, though offset %d was", p.Return, l.highest)
		} else if complete {
			c.add(Unseen, p.Log, p.Offset, p.Token, "acknowledged at %d, and not there when all was read to the end (%d)", p.Return, l.highest)
		}
	}
}

// sessions follows each reader from offset to offset.
func (c *checker) sessions(l *log) {
	last := map[string]codec.Offset{}
	for _, r := range l.reads {
		was, begun := last[r.Session]
		last[r.Session] = r.Offset
		switch {
		case !begun:
		case r.Offset <= was:
			c.add(NonmonotonicPoll, r.Log, r.Offset, r.Token, "%s got it behind offset %d", r.Session, was)
		default:
			c.skipped(l, r, was)
		}
	}
}

// skipped names the first record between was and r that r's session did not
// get, unless retention may have taken it.
func (c *checker) skipped(l *log, r *Read, was codec.Offset) {
	i, _ := slices.BinarySearch(l.offsets, max(was+1, l.start))
	if i < len(l.offsets) && l.offsets[i] < r.Offset {
		o := l.offsets[i]
		c.add(PollSkip, r.Log, o, l.at[o].token, "%s went from offset %d to %d", r.Session, was, r.Offset)
	}
}

// realtime sweeps the acknowledged records in the order of the log: the
// latest send so far must not lie after a later one's answer.
func (c *checker) realtime(l *log) {
	var acked []*Produce
	for _, p := range l.produces {
		if p.Outcome == OK && !p.Somewhere && p.Attempts <= 1 {
			acked = append(acked, p)
		}
	}
	slices.SortStableFunc(acked, func(a, b *Produce) int { return cmp.Compare(a.Offset, b.Offset) })
	var latest *Produce
	for _, p := range acked {
		if latest != nil && p.Return < latest.Call && latest.Offset < p.Offset {
			c.add(Reordered, p.Log, p.Offset, p.Token, "acknowledged at %d, before record %d was sent at %d, and behind it (offset %d)",
				p.Return, latest.Token, latest.Call, latest.Offset)
		}
		if latest == nil || p.Call > latest.Call {
			latest = p
		}
	}
}

// sequences follows each idempotent producer from record to record, in the
// order of the log.
func (c *checker) sequences(l *log) {
	last := map[string]*Produce{}
	for _, o := range l.offsets {
		p := c.sent[l.at[o].token]
		if p == nil || p.Producer == "" {
			continue
		}
		if was := last[p.Producer]; was != nil && was.Sequence >= p.Sequence {
			c.add(NonmonotonicSend, p.Log, o, p.Token, "sequence %d of %s, behind %d", p.Sequence, p.Producer, was.Sequence)
		}
		last[p.Producer] = p
	}
}
