package gateway

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// answerHead is more than a fetch's answer takes around its payload.
const answerHead = 1 << 10

// poll is one fetch.
type poll struct {
	vigil    // at the end of the log
	reading  // what it answers
	request  request
	fetch    codec.Fetch
	topic    *topicCounts
	deadline time.Duration // on the session's clock
}

// pollsMax is how many a connection keeps for later.
const pollsMax = 16

// newPoll is called by the reader.
func (c *conn) newPoll(r request) *poll {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.polls); n > 0 {
		p := c.polls[n-1]
		c.polls = c.polls[:n-1]
		p.request = r
		return p
	}
	p := &poll{request: r}
	p.conn, p.over = c, p.ready
	return p
}

// reuse keeps p for later, unless it ever waited: the partition may still
// call it.
func (p *poll) reuse() {
	if p.round > 0 || len(p.conn.polls) >= pollsMax {
		return
	}
	p.reading = reading{}
	p.conn.polls = append(p.conn.polls, p)
}

func (c *conn) fetch(r request, e *codec.Envelope) error {
	p := c.newPoll(r)
	err := e.Decode(&p.fetch)
	if err != nil {
		return err
	}
	if p.from, err = c.partition(p.fetch.TopicPartition, read); err != nil {
		return err
	}
	p.topic = c.server.counts.topic(p.topic, p.fetch.Topic)
	wait := min(time.Duration(p.fetch.MaxWait)*time.Millisecond, c.server.limits.FetchWait)
	p.deadline = c.now() + wait
	if isRemote(p.from) { // the reader does not wait for another broker
		p.ready()
		return nil
	}
	_, high, err := p.from.Bounds()
	if err != nil {
		return err
	}
	if p.fetch.Offset == high && wait > 0 {
		p.await(p.from, high, wait)
		return nil
	}
	p.ready()
	return nil
}

// ready lets the writer read: the reader never touches a disk, and there is
// memory for one answer at a time.
func (p *poll) ready() {
	p.conn.answer(answer{request: p.request, maker: p, again: p, most: p.conn.readCost(p.from, p.fetch.MaxBytes, p.fetch.Mode)})
}

// readCost is about what reading bytes takes of the server's budget: the
// first batch comes whatever its size.
func (c *conn) readCost(from Partition, bytes int, mode codec.FetchMode) int {
	if mode == codec.FetchRecords {
		return recordsCost * c.server.limits.FrameMax
	}
	return min(max(bytes, from.MaxMessageBytes())+answerHead, c.server.limits.FrameMax)
}

// make makes the answer; ok is false when there is too little and time to
// wait for more.
func (p *poll) make(head []byte) (m made, ok bool) {
	c := p.conn
	_, high, err := p.from.Bounds()
	if err != nil {
		return made{frame: c.refusal(head, p.request, err)}, true
	}
	r := &p.reading
	*r = reading{from: p.from, offset: p.fetch.Offset, next: p.fetch.Offset, mode: p.fetch.Mode, openMax: c.server.limits.FrameMax,
		most: min(p.fetch.MaxBytes, c.frameMax()-answerHead)}
	if r.offset != high {
		err = r.read()
	}
	if err == nil && r.next >= high && r.stored() < min(max(1, p.fetch.MinBytes), r.most) && p.mayWait() {
		r.drop()
		if err := cut(p.from); err != nil {
			return made{frame: c.refusal(head, p.request, err)}, true
		}
		p.await(p.from, r.next, p.deadline-c.now())
		return made{}, false
	}
	if err == nil {
		err = r.decode()
	}
	if err == nil {
		m.frame = codec.EncodeResponse(head, p.request.id, &r.answer)
		err = c.fits(m.frame, r)
	}
	if err != nil {
		r.drop()
		return made{frame: c.refusal(nil, p.request, err)}, true
	}
	p.topic.fetched(r.records, r.stored())
	m.scratch = r.scratch
	return m, true
}

// mayWait says whether the answer can come later: the deadline is ahead and
// nobody is in a hurry.
func (p *poll) mayWait() bool {
	p.conn.mu.Lock()
	defer p.conn.mu.Unlock()
	return !p.conn.draining && !p.conn.dead && p.conn.now() < p.deadline
}

// reading is one read of a log for a client: what a fetch answers or a
// subscription pushes.
type reading struct {
	from    Partition
	offset  codec.Offset
	most    int // bytes, unless the first batch is larger
	mode    codec.FetchMode
	openMax int // bytes that a batch may become when it is opened

	scratch *buffer
	next    codec.Offset // behind the last record of the answer
	records int          // in it, about: a first batch counts whole
	answer  codec.Fetched
}

// read reads whole batches. Its memory is scratch's, to be dropped when
// nothing is sent of it.
func (r *reading) read() (err error) {
	r.scratch = takeRead(r.most)
	if r.scratch.b, err = r.from.Read(r.scratch.b, r.offset, r.most); err != nil {
		return err
	}
	r.scratch = moveOut(r.scratch)
	r.next, r.records = endOf(r.scratch.b, r.offset)
	return nil
}

// stored is the bytes that were read.
func (r *reading) stored() int {
	if r.scratch == nil {
		return 0
	}
	return len(r.scratch.b)
}

func (r *reading) drop() {
	giveBuffer(r.scratch)
	r.scratch = nil
}

// decode makes the answer of what was read.
func (r *reading) decode() (err error) {
	a := &r.answer
	*a = codec.Fetched{Mode: r.mode, Batches: []byte{}}
	if r.scratch != nil {
		a.Batches = r.scratch.b
	}
	if a.Start, a.HighWatermark, err = r.from.Bounds(); err != nil { // after Read: never below what was read
		return err
	}
	if r.mode == codec.FetchBatches {
		return nil
	}
	stored := a.Batches
	a.Batches = nil
	a.Records, err = decodeRecords(stored, r.offset, r.most, r.openMax)
	if n := len(a.Records); n > 0 {
		r.next, r.records = a.Records[n-1].Offset+1, n
	}
	return err
}

// hint says where a reader goes on whose answer is too large: behind its
// first batch or record, for one that is too large comes alone.
func (r *reading) hint() string {
	if len(r.answer.Records) > 0 {
		return fmt.Sprintf(": go on at offset %d", r.answer.Records[0].Offset+1)
	}
	if b, _, err := codec.NextBatch(r.answer.Batches); err == nil && r.mode == codec.FetchBatches {
		return fmt.Sprintf(": go on at offset %d", b.BaseOffset()+codec.Offset(b.Count()))
	}
	return ""
}

// endOf is the offset behind the last of batches, offset when there is none,
// and how many records they are.
func endOf(batches []byte, offset codec.Offset) (codec.Offset, int) {
	records := 0
	for len(batches) > 0 {
		b, rest, err := codec.NextBatch(batches)
		if err != nil {
			break // the client will see
		}
		offset, batches = b.BaseOffset()+codec.Offset(b.Count()), rest
		records += int(b.Count())
	}
	return offset, records
}
