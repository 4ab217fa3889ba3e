package replica

import (
	"fmt"
	"slices"

	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// disk is what survives a crash of one replica. It is also the mind's
// Storage, so it shows only what is durable.
type disk struct {
	term     codec.Term
	vote     codec.ReplicaID
	commit   codec.Index
	conf     []byte
	confAsOf codec.Index
	start    codec.Index // the snapshot's index: the log begins after it
	startAt  codec.Term
	snap     Snapshot // at start
	entries  []Entry  // with payloads

	installed int         // snapshots
	applied   *ConfChange // the newest configuration, durable or not; nil since a crash
}

func newDisk(voters []codec.ReplicaID) *disk {
	d := &disk{snap: Snapshot{Producers: NewProducers()}}
	d.start, d.startAt, d.conf = Bootstrap(voters)
	d.term, d.commit, d.confAsOf = d.startAt, d.start, d.start
	return d
}

func (d *disk) last() codec.Index { return d.start + codec.Index(len(d.entries)) }

func (d *disk) at(i codec.Index) *Entry { return &d.entries[i-d.start-1] }

func (d *disk) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	term, vote, commit := uint64(d.term), uint64(d.vote), uint64(d.commit)
	cs, err := ParseConf(d.conf)
	return &raftpb.HardState{Term: &term, Vote: &vote, Commit: &commit}, cs, err
}

func (d *disk) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	if lo <= uint64(d.start) {
		return nil, raft.ErrCompacted
	}
	var out []*raftpb.Entry
	size := 0
	for i := codec.Index(lo); i < codec.Index(hi); i++ {
		e := d.at(i)
		index, term := uint64(e.Index), uint64(e.Term)
		if size += len(e.Data); len(out) > 0 && uint64(size) > maxSize {
			break
		}
		out = append(out, &raftpb.Entry{Index: &index, Term: &term, Type: e.Type.Enum(), Data: e.Data})
	}
	return out, nil
}

func (d *disk) Term(i uint64) (uint64, error) {
	switch {
	case i < uint64(d.start):
		return 0, raft.ErrCompacted
	case i == uint64(d.start):
		return uint64(d.startAt), nil
	case i > uint64(d.last()):
		return 0, raft.ErrUnavailable
	}
	return uint64(d.at(codec.Index(i)).Term), nil
}

func (d *disk) FirstIndex() (uint64, error) { return uint64(d.start) + 1, nil }
func (d *disk) LastIndex() (uint64, error)  { return uint64(d.last()), nil }

// producers is the table as of the durable commit index.
func (d *disk) producers() *Producers {
	t, err := ImportProducers(d.snap.Producers.Export(nil))
	must(err)
	for _, e := range d.entries {
		run, ok, err := codec.ParseBatchEntry(e.Data)
		must(err)
		if ok && e.Type == raftpb.EntryNormal && e.Index <= d.commit && e.Index > d.snap.ProducersAsOf {
			applyTo(t, run)
		}
	}
	return t
}

// Snapshot follows raft.md 2.5: the configuration is the latest applied one.
func (d *disk) Snapshot() (*raftpb.Snapshot, error) {
	conf, asOf := d.conf, d.confAsOf
	if a := d.applied; a != nil && a.Index > asOf {
		conf, asOf = a.State, a.Index
	}
	cs, err := ParseConf(conf)
	if err != nil {
		return nil, err
	}
	s := d.snap
	s.ConfAsOf = asOf
	s.Producers, s.ProducersAsOf = d.producers(), max(d.commit, s.ProducersAsOf) // newer than the snapshot is
	index, term := uint64(d.start), uint64(d.startAt)
	return &raftpb.Snapshot{Data: s.Encode(nil), Metadata: &raftpb.SnapshotMetadata{ConfState: cs, Index: &index, Term: &term}}, nil
}

// write makes one Append durable, as the body's disk port does.
func (d *disk) write(a *Append) {
	d.term, d.vote = a.Term, a.Vote
	if a.Hard { // nothing else takes the commit index to the disk, and it never goes before what it is about
		stays := d.last()
		if len(a.Entries) > 0 {
			stays = min(stays, a.Entries[0].Index-1)
		}
		d.commit = max(d.commit, min(a.Commit, stays))
	}
	if a.Snapshot != nil {
		d.installed++
		m := a.Snapshot.GetMetadata()
		snap, err := ParseSnapshot(a.Snapshot.GetData())
		must(err)
		d.start, d.startAt, d.entries = codec.Index(m.GetIndex()), codec.Term(m.GetTerm()), nil
		d.commit = d.start
		d.snap, d.confAsOf = snap, snap.ConfAsOf
		d.conf, err = proto.Marshal(m.GetConfState())
		must(err)
	}
	if len(a.Entries) > 0 {
		d.entries = append(slices.Clone(d.entries[:a.Entries[0].Index-d.start-1]), a.Entries...)
	}
	if a.Commit > d.last() {
		panic(fmt.Sprintf("commit %d above the end of the log %d", a.Commit, d.last()))
	}
}

// trim drops the log up to index, which is applied.
func (d *disk) trim(index codec.Index) {
	d.commit = max(d.commit, index)
	for d.start < index {
		e := d.entries[0]
		if run, ok, _ := codec.ParseBatchEntry(e.Data); ok && e.Type == raftpb.EntryNormal {
			d.snap.Next, d.snap.AppendTime = run.Limit(), run.AppendTime()
			if e.Index > d.snap.ProducersAsOf {
				applyTo(d.snap.Producers, run)
			}
		}
		d.start, d.startAt, d.entries = e.Index, e.Term, d.entries[1:]
	}
}

// open makes a mind from the disk, as the body does after a crash: applied is
// the durable commit index, everything derived is read again.
func (d *disk) open(id codec.ReplicaID) (*Mind, error) {
	next, time := d.snap.Next, d.snap.AppendTime
	applied := d.commit
	for _, e := range d.entries {
		if e.Type != raftpb.EntryNormal && e.Index > d.confAsOf {
			applied = min(applied, e.Index-1) // decided and not yet written down: it is applied again
		}
		run, ok, err := codec.ParseBatchEntry(e.Data)
		must(err)
		if ok && e.Type == raftpb.EntryNormal {
			next, time = run.Limit(), run.AppendTime()
		}
	}
	return New(Config{Group: 7, ID: id, Storage: d, Applied: applied, ConfAsOf: d.confAsOf,
		Next: next, AppendTime: time, StartTime: d.snap.AppendTime, Producers: d.producers(), ProducersAsOf: max(d.commit, d.snap.ProducersAsOf)})
}

func applyTo(t *Producers, run codec.Run) {
	for i := range run.Len() {
		t.Apply(run.At(i))
	}
}
