package replica

import (
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// node is a replica: its disk, its mind, and what is on the way to the disk.
type node struct {
	id       codec.ReplicaID
	disk     *disk
	mind     *Mind
	queue    []*Append
	confs    []*saving
	conf     tracker.Config          // before what the last Take applied
	payloads map[place][]codec.Batch // the body's tail cache
	checked  map[*raftpb.Message]bool
}

// saving is a configuration on its way to the disk, behind some Appends.
type saving struct {
	conf   *ConfChange
	behind int
}

type place struct {
	index codec.Index
	term  codec.Term
}

// letter is a message on the wire with the payloads behind it.
type letter struct {
	msg      *raftpb.Message
	payloads map[place][]codec.Batch
}

// world plays the bodies, the wire and the disks of one group, and checks
// after every step what must always hold.
type world struct {
	t       require.TestingT
	nodes   []*node
	net     []*letter
	now     codec.Millis
	say     func(format string, args ...any) // nil for silence
	leaders map[codec.Term]codec.ReplicaID
	log     map[codec.Index]Entry   // committed entries, by whoever saw them first
	values  map[codec.Offset]uint32 // committed batches: base offset to CRC
	asked   map[int]uint32          // tokens accepted and not answered: CRC
	acked   map[codec.Offset]uint32 // acknowledged batches
	never   map[uint32]bool         // CRCs of batches that were said never to have been proposed
	tables  map[codec.Index]string  // producers as of an index
	unknown int
	tokens  int
	heard   func(token int, err error) // every answer; may be nil
}

func newWorld(t require.TestingT, n int) *world {
	w := &world{t: t, now: 1000, leaders: map[codec.Term]codec.ReplicaID{}, log: map[codec.Index]Entry{},
		values: map[codec.Offset]uint32{}, asked: map[int]uint32{}, acked: map[codec.Offset]uint32{}, never: map[uint32]bool{}, tables: map[codec.Index]string{}}
	var voters []codec.ReplicaID
	for i := range n {
		voters = append(voters, codec.ReplicaID(i+1))
	}
	for _, id := range voters {
		w.add(id, newDisk(voters))
	}
	return w
}

func (w *world) add(id codec.ReplicaID, d *disk) *node {
	n := &node{id: id, disk: d, payloads: map[place][]codec.Batch{}, checked: map[*raftpb.Message]bool{}}
	w.nodes = append(w.nodes, n)
	w.start(n)
	return n
}

func (w *world) node(id codec.ReplicaID) *node {
	n := w.find(id)
	if n == nil {
		panic(fmt.Sprintf("no node %d", id))
	}
	return n
}

// find is nil for one that is gone for good.
func (w *world) find(id codec.ReplicaID) *node {
	for _, n := range w.nodes {
		if n.id == id {
			return n
		}
	}
	return nil
}

func (w *world) start(n *node) {
	m, err := n.disk.open(n.id)
	require.NoError(w.t, err)
	n.mind = m
	w.take(n)
}

// crash loses what is not durable, and the answers of the requests in flight.
func (w *world) crash(n *node) {
	n.queue, n.confs, n.disk.applied = nil, nil, nil
	n.payloads = map[place][]codec.Batch{}
	w.start(n)
}

func (w *world) saying(format string, args ...any) {
	if w.say != nil {
		w.say(format, args...)
	}
}

// take carries out the effects of one node.
func (w *world) take(n *node) {
	n.conf = n.mind.node.Status().Config
	fx := n.mind.Take()
	if fx.Role != nil {
		w.lead(n, *fx.Role)
	}
	for _, a := range fx.Appends {
		w.keep(n, a)
		n.queue = append(n.queue, a)
		w.saying("  %d appends %s", n.id, describe(a))
	}
	for _, m := range fx.Messages {
		w.promise(n, m)
		w.post(n, m)
	}
	clear(n.checked)
	for _, e := range fx.Committed {
		w.apply(n, e)
	}
	if fx.Conf != nil {
		n.confs = append(n.confs, &saving{fx.Conf, len(n.queue)})
		n.disk.applied = fx.Conf
		w.saying("  %d has configuration %s", n.id, confString(fx.Conf.State))
	}
	for _, a := range fx.Answers {
		w.answer(n, a)
	}
	w.compare(n)
}

// compare holds what a mind derived from the log against what others derived
// from as much of it.
func (w *world) compare(n *node) {
	at := n.mind.Commit()
	if at < n.mind.known {
		return // its table is one of later
	}
	table := string(n.mind.Producers().Export(nil))
	if other, seen := w.tables[at]; seen {
		require.Equal(w.t, []byte(other), []byte(table), "replica %d has other producers as of entry %d", n.id, at)
	}
	w.tables[at] = table
}

func (w *world) lead(n *node, r Role) {
	w.saying("  %d sees leader %d in term %d", n.id, r.Lead, r.Term)
	require.Equal(w.t, r.Leader, r.Lead == n.id)
	if !r.Leader {
		return
	}
	if old, ok := w.leaders[r.Term]; ok {
		require.Equal(w.t, old, n.id, "two leaders in term %d", r.Term)
	}
	w.leaders[r.Term] = n.id
}

// keep gives every batch entry of an Append its payload, which must be there.
func (w *world) keep(n *node, a *Append) {
	for i := range a.Entries {
		e := &a.Entries[i]
		run, ok, err := codec.ParseBatchEntry(e.Data)
		require.NoError(w.t, err)
		if !ok || e.Type != raftpb.EntryNormal {
			continue
		}
		at := place{e.Index, e.Term}
		if e.Payloads == nil {
			e.Payloads = n.payloads[at]
		}
		require.NotNil(w.t, e.Payloads, "replica %d has no payload for entry %d of term %d", n.id, e.Index, e.Term)
		epoch, _ := codec.EpochOf(e.Term)
		require.NoError(w.t, run.Matches(slices.Concat(e.Payloads...), epoch))
		n.payloads[at] = e.Payloads
	}
}

// promise checks that what a message rests on is durable before it leaves.
// It looks when the message is made: what happens to the log later, under
// another leader, breaks no promise.
func (w *world) promise(n *node, m *raftpb.Message) {
	if n.checked[m] {
		return
	}
	n.checked[m] = true
	term, index := codec.Term(m.GetTerm()), codec.Index(m.GetIndex())
	switch m.GetType() {
	case raftpb.MsgAppResp:
		require.LessOrEqual(w.t, term, n.disk.term, "append response of a term not durable")
		if !m.GetReject() && index > 0 {
			require.LessOrEqual(w.t, index, n.disk.last(), "append response before durability")
		}
	case raftpb.MsgVoteResp:
		require.LessOrEqual(w.t, term, n.disk.term, "vote of a term not durable")
		if !m.GetReject() && term == n.disk.term {
			require.Equal(w.t, codec.ReplicaID(m.GetTo()), n.disk.vote, "vote not durable")
		}
	case raftpb.MsgVote:
		require.LessOrEqual(w.t, term, n.disk.term, "candidacy of a term not durable")
		require.LessOrEqual(w.t, index, n.disk.last(), "candidate's log not durable")
	}
}

// post marshals a message, as the link does, with the payloads it names.
func (w *world) post(n *node, m *raftpb.Message) {
	raw, err := proto.Marshal(m)
	require.NoError(w.t, err)
	l := &letter{msg: &raftpb.Message{}, payloads: map[place][]codec.Batch{}}
	require.NoError(w.t, proto.Unmarshal(raw, l.msg))
	for _, e := range m.GetEntries() {
		at := place{codec.Index(e.GetIndex()), codec.Term(e.GetTerm())}
		if b := n.payloads[at]; b != nil {
			l.payloads[at] = b
		} else if at.index > n.disk.start && at.index <= n.disk.last() && n.disk.at(at.index).Term == at.term {
			l.payloads[at] = n.disk.at(at.index).Payloads
		}
	}
	w.net = append(w.net, l)
}

func (w *world) apply(n *node, e Entry) {
	require.LessOrEqual(w.t, e.Index, n.disk.last(), "applied before durable")
	run, ok, err := codec.ParseBatchEntry(e.Data)
	require.NoError(w.t, err)
	if old, seen := w.log[e.Index]; seen {
		require.Equal(w.t, old, e, "two values at index %d", e.Index)
		return
	}
	w.log[e.Index] = e
	if !ok || e.Type != raftpb.EntryNormal {
		return
	}
	for i := range run.Len() {
		d := run.At(i)
		_, seen := w.values[d.BaseOffset]
		require.False(w.t, seen, "two batches at offset %d", d.BaseOffset)
		w.values[d.BaseOffset] = d.CRC
		w.saying("  %d commits offset %d at index %d of term %d", n.id, d.BaseOffset, e.Index, e.Term)
	}
}

func (w *world) answer(n *node, a Answer) {
	token := a.Token.(int)
	crc, open := w.asked[token]
	require.True(w.t, open, "token %d is answered twice", token)
	delete(w.asked, token)
	if w.heard != nil {
		w.heard(token, a.Err)
	}
	if code := codec.CodeOf(a.Err); code == codec.Unavailable || code == codec.SequenceGap { // it was never proposed
		w.never[crc] = true
		w.saying("  %d answers request %d: %v", n.id, token, a.Err)
		return
	}
	if a.Err != nil {
		require.Equal(w.t, codec.Unknown, codec.CodeOf(a.Err))
		w.unknown++
		w.saying("  %d answers request %d: %v", n.id, token, a.Err)
		return
	}
	w.saying("  %d answers request %d: offset %d, time %d", n.id, token, a.Base, a.AppendTime)
	if crc == 0 { // not a batch
		return
	}
	require.Equal(w.t, w.values[a.Base], crc, "acknowledged offset %d holds another batch", a.Base)
	w.acked[a.Base] = crc
	if a.Index > 0 { // it may have been committed before a configuration that is applied by now
		require.True(w.t, w.holds(a, n.conf) || w.holds(a, n.mind.node.Status().Config), "acknowledged before a majority has it durable")
	}
}

// holds says that a majority of each half of a configuration has an entry durable.
func (w *world) holds(a Answer, c tracker.Config) bool {
	for _, voters := range c.Voters {
		holders := 0
		for id := range voters {
			n := w.find(codec.ReplicaID(id))
			if n == nil { // it may have held it when it went
				holders++
			} else if d := n.disk; a.Index <= d.start || a.Index <= d.last() && d.at(a.Index).Term == a.Term {
				holders++
			}
		}
		if len(voters) > 0 && holders <= len(voters)/2 {
			return false
		}
	}
	return true
}

// produce asks for a batch; the error is the refusal.
func (w *world) produce(n *node, b codec.Batch) error {
	w.tokens++
	err := n.mind.Produce(w.now, b, w.tokens)
	if err == nil {
		w.asked[w.tokens] = b.CRC()
	} else {
		w.saying("  %d refuses request %d: %v", n.id, w.tokens, err)
	}
	return err
}

// installing says that a snapshot is on its way to the disk.
func (n *node) installing() bool {
	return slices.ContainsFunc(n.queue, func(a *Append) bool { return a.Snapshot != nil })
}

// saved makes the configurations durable that are behind no Append any more.
func (n *node) saved() {
	for len(n.confs) > 0 && n.confs[0].behind <= 0 {
		c := n.confs[0].conf
		n.confs = n.confs[1:]
		if c.Index >= n.disk.confAsOf {
			n.disk.conf, n.disk.confAsOf = c.State, c.Index
			n.disk.commit = max(n.disk.commit, min(c.Index, n.disk.last()))
		}
	}
}

// persist makes up to k appends of a node durable, and the configurations before
// them.
func (w *world) persist(n *node, k int) {
	for n.saved(); k > 0 && len(n.queue) > 0; k-- {
		n.saved()
		a := n.queue[0]
		n.queue = n.queue[1:]
		for _, c := range n.confs {
			c.behind--
		}
		n.disk.write(a)
		n.mind.Persisted(a)
		for _, m := range n.mind.messages {
			w.promise(n, m)
		}
	}
	w.take(n)
}

// deliver hands one letter to whom it is for.
func (w *world) deliver(l *letter) {
	n := w.find(codec.ReplicaID(l.msg.GetTo()))
	if n == nil {
		w.report(l, false)
		return
	}
	w.saying("  %s", messageString(l.msg))
	for at, b := range l.payloads {
		n.payloads[at] = b
	}
	_ = n.mind.Step(l.msg) // a peer that was removed is refused
	w.take(n)
	w.report(l, true)
}

// report tells a leader whether its snapshot arrived, as the link does.
func (w *world) report(l *letter, ok bool) {
	if n := w.find(codec.ReplicaID(l.msg.GetFrom())); n != nil && l.msg.GetType() == raftpb.MsgSnap {
		n.mind.SnapshotSent(codec.ReplicaID(l.msg.GetTo()), ok)
		w.take(n)
	}
}

// stabilize lets disks and wire do all that is due.
func (w *world) stabilize() {
	for busy := true; busy; {
		busy = false
		for _, n := range w.nodes {
			if len(n.queue) > 0 || len(n.confs) > 0 {
				busy = true
				w.persist(n, len(n.queue))
			}
		}
		for len(w.net) > 0 {
			busy = true
			l := w.net[0]
			w.net = w.net[1:]
			w.deliver(l)
		}
	}
}
