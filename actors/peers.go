package actors

import (
	"errors"
	"fmt"
	"math"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// letterBytesMax is what one letter carries of batches, but one entry may be
// larger.
const letterBytesMax = 1 << 20

// replicated says that there are other replicas, or are to be.
func (p *Partition) replicated() bool { return !alone(p.seat.group, p.seat.members, p.seat.id) }

// nodeOf is where another replica of the group lives.
func (p *Partition) nodeOf(id codec.ReplicaID) (codec.NodeID, bool) {
	for _, r := range p.seat.members {
		if r.ID == id {
			return r.Node, true
		}
	}
	node, met := p.strangers[id]
	return node, met
}

// sendAll sends what the mind says to other replicas. What cannot be sent is
// lost, as on any link.
func (p *Partition) sendAll(list []*raftpb.Message) {
	for _, m := range list {
		to := codec.ReplicaID(m.GetTo())
		node, known := p.nodeOf(to)
		switch {
		case !known || p.house.link == nil || p.mute:
			if m.GetType() == raftpb.MsgSnap {
				p.snapshotSent(to, false)
			}
		case m.GetType() == raftpb.MsgApp && len(m.GetEntries()) > 0:
			p.sendEntries(to, node, m)
		case m.GetType() == raftpb.MsgSnap:
			p.sendLetter(node, m, nil)
			p.snapshotSent(to, true)
		case beats(m):
			p.house.send(p.house.drummer, &drum{node, beatOf(p.seat.group, m)})
		default:
			p.sendLetter(node, m, nil)
		}
	}
}

// snapshotSent notes that a replica was sent a snapshot, or could not be. One
// that was lost on the way is found out by the next heartbeat.
func (p *Partition) snapshotSent(to codec.ReplicaID, ok bool) {
	if ok {
		p.house.tallies.snapshotsSent.Add(1)
	}
	p.snapshots = append(p.snapshots, snapshotSent{to, ok})
}

type snapshotSent struct {
	to codec.ReplicaID
	ok bool
}

// reportSnapshots tells the mind, when all that it asked for is done: its effects
// are carried out before its next input.
func (p *Partition) reportSnapshots() {
	for _, s := range p.snapshots {
		if p.mind != nil {
			p.mind.SnapshotSent(s.to, s.ok)
			p.flushSoon()
		}
	}
	p.snapshots = nil
}

func (p *Partition) sendLetter(node codec.NodeID, m *raftpb.Message, payloads []codec.Batch) {
	p.house.link.Send(node, p.letter(m, payloads))
}

// letter marshals a message, which shares memory with the mind.
func (p *Partition) letter(m *raftpb.Message, payloads []codec.Batch) [][]byte {
	raw, err := proto.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("actors: %s: marshal a message: %v", p.seat.name, err))
	}
	l := codec.RaftLetter{Cluster: p.house.cluster, Disk: p.house.disk, Group: p.seat.group, From: p.seat.id, To: codec.ReplicaID(m.GetTo()), Raft: raw, Payloads: payloads}
	return l.Encode()
}

// sendEntries sends a MsgApp in letters of at most letterBytesMax, each with the
// batches of its entries. Where those are not in memory any more the disk port
// reads them, and so that letters to one replica keep their order, those behind
// it wait for it.
func (p *Partition) sendEntries(to codec.ReplicaID, node codec.NodeID, m *raftpb.Message) {
	if p.reading[to] == 0 {
		list, ok := p.fromMemory(m)
		if ok {
			for _, one := range pieces(m, list) {
				p.sendLetter(node, one.raft, one.payloads)
			}
			return
		}
	}
	p.sendFromDisk(to, node, m)
}

// fromMemory are the batches of each entry of m; ok is false when some are not
// in memory.
func (p *Partition) fromMemory(m *raftpb.Message) (list [][]codec.Batch, ok bool) {
	list = make([][]codec.Batch, len(m.GetEntries()))
	for i, e := range m.GetEntries() {
		if _, has, err := batchesOf(e); err != nil {
			panic(fmt.Sprintf("actors: %s: entry %d to be sent: %v", p.seat.name, e.GetIndex(), err))
		} else if !has {
			continue
		}
		if list[i], ok = p.payloads.find(codec.Index(e.GetIndex()), codec.Term(e.GetTerm())); !ok {
			return nil, false
		}
	}
	return list, true
}

// piece is a part of a MsgApp that goes into one letter.
type piece struct {
	raft     *raftpb.Message
	payloads []codec.Batch
}

// pieces cuts a MsgApp where its batches become too many for one letter. Each
// piece says what comes before it, as if it had been sent alone.
func pieces(m *raftpb.Message, payloads [][]codec.Batch) (all []piece) {
	from, bytes := 0, 0
	entries := m.GetEntries()
	cut := func(limit int) {
		part := &raftpb.Message{Type: m.Type, To: m.To, From: m.From, Term: m.Term, LogTerm: m.LogTerm, Index: m.Index, Commit: m.Commit, Entries: entries[from:limit]}
		if from > 0 {
			part.Index, part.LogTerm = entries[from-1].Index, entries[from-1].Term
		}
		one := piece{raft: part}
		for _, list := range payloads[from:limit] {
			one.payloads = append(one.payloads, list...)
		}
		all, from, bytes = append(all, one), limit, 0
	}
	for i := range entries {
		n := 0
		for _, b := range payloads[i] {
			n += len(b)
		}
		if i > from && bytes+n > letterBytesMax {
			cut(i)
		}
		bytes += n
	}
	cut(len(entries))
	return all
}

// sendFromDisk reads batches and sends m then. It marshals now, for m shares
// memory with the mind.
func (p *Partition) sendFromDisk(to codec.ReplicaID, node codec.NodeID, m *raftpb.Message) {
	if p.disk.log == nil {
		return
	}
	if p.reading == nil {
		p.reading = make(map[codec.ReplicaID]int)
	}
	p.reading[to]++
	p.house.seen(SeenFromDisk)
	raw, err := proto.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("actors: %s: marshal a message: %v", p.seat.name, err))
	}
	index, life := p.disk.index, p.disk.life
	p.disk.lane.Do(func() {
		one := &raftpb.Message{}
		list, err := [][]codec.Batch(nil), proto.Unmarshal(raw, one)
		if err == nil {
			err = wal.Guard(func() (err error) { list, err = readPayloads(index, one); return err })
		}
		if err == nil {
			for _, part := range pieces(one, list) {
				p.sendLetter(node, part.raft, part.payloads)
			}
		}
		p.post(&sent{life, to, err})
	})
}

// readPayloads reads the batches of each entry of m from the segments. An entry
// may be gone: it was asked for some time ago.
func readPayloads(x *wal.Index, m *raftpb.Message) ([][]codec.Batch, error) {
	list := m.GetEntries()
	lo, hi := codec.Index(list[0].GetIndex()), codec.Index(list[len(list)-1].GetIndex())+1
	var entries []wal.Entry
	for at := lo; at < hi; at = lo + codec.Index(len(entries)) {
		more, err := x.ReadEntries(at, hi, letterBytesMax)
		if err != nil {
			return nil, err
		}
		entries = append(entries, more...)
	}
	for i := range entries {
		if uint64(entries[i].Term) != list[i].GetTerm() {
			return nil, wal.ErrGone // cut, and written anew
		}
	}
	return x.ReadPayloads(entries, math.MaxInt)
}

// sent says that a letter whose batches were read has left, or why not.
type sent struct {
	life int
	to   codec.ReplicaID
	err  error
}

// sentFromDisk goes on behind a read. When what was to be sent is not there any
// more, the mind is told that it was lost, and asks again.
func (p *Partition) sentFromDisk(m *sent) {
	if m.life != p.disk.life {
		return
	}
	if p.reading[m.to]--; p.reading[m.to] == 0 {
		delete(p.reading, m.to)
	}
	if m.err == nil {
		return
	}
	if p.mind != nil {
		p.mind.Unreachable(m.to)
		p.flushSoon()
	}
	if !errors.Is(m.err, wal.ErrGone) {
		p.diskTrouble(m.err)
	}
}

// heard steps a message of another replica. What it asks for is done behind all
// that waits with it.
func (p *Partition) heard(m *heard) {
	if m.to != p.seat.id || p.mind == nil || p.disk.closed || p.asksTooMuch(m.raft) {
		return
	}
	p.met(m.from, m.node)
	delete(p.ended, m.from) // it is back: what it sent before its end came before the news of that
	p.payloads.offer(m.payloads)
	err := p.mind.Step(m.raft)
	var lost *replica.Lost
	if errors.As(err, &lost) {
		p.quarantine(&wal.Corrupt{File: p.seat.dir, At: -1, Why: lost.Error()})
		return
	}
	if err != nil {
		p.house.refused("a message of another replica was refused", "partition", p.seat.name, "error", err)
		return
	}
	p.flushSoon()
}

// asksTooMuch says whether m asks for the vote of a replica of the metadata that has
// nothing yet but the founding, for one that has more. Then the founding is long
// over, and an empty directory may be one in place of another that was lost, of
// which this broker's vote has already been used. Others know its disk, but one
// that has just started does not know yet what it knew.
func (p *Partition) asksTooMuch(m *raftpb.Message) bool {
	if vote := m.GetType() == raftpb.MsgVote || m.GetType() == raftpb.MsgPreVote; !vote || p.machine == nil {
		return false
	}
	founding, _, _ := replica.Bootstrap(nil)
	return p.disk.index.Last() <= founding && codec.Index(m.GetIndex()) > founding && !codec.Mutant("empty-disk-votes")
}

// keepPayloads sees to it that each entry given to the disk has its batches, and
// keeps them for other replicas.
func (p *Partition) keepPayloads(a *replica.Append) {
	if !p.replicated() {
		return
	}
	for i := range a.Entries {
		e := &a.Entries[i]
		if e.Payloads == nil {
			e.Payloads = p.payloads.claim(e.Index, e.Term)
		}
		if e.Payloads == nil {
			e.Payloads, _ = p.payloads.find(e.Index, e.Term)
		}
		p.payloads.keep(e.Index, e.Term, e.Payloads)
	}
}
