package actors

import (
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// snapshot is what a follower gets that is behind the beginning of this log. Of
// a topic's log it is that beginning, so that the follower gets all that is
// retained, entry by entry; of a machine's it is the newest state on the disk.
// The configuration is in both cases the one that applies now (raft.md 2.5):
// an older one may lack the follower itself.
func (p *Partition) snapshot() (*raftpb.Snapshot, error) {
	conf, err := replica.ParseConf(p.conf.State)
	if err != nil {
		return nil, fmt.Errorf("snapshot of %s: %w", p.seat.name, err)
	}
	index, term := p.disk.index.Before()
	s := replica.Snapshot{ConfAsOf: p.conf.Index}
	if p.machine != nil {
		if p.snapped.Index < index || p.snapped.Index == 0 {
			return nil, raft.ErrSnapshotTemporarilyUnavailable
		}
		index, term = p.snapped.Index, p.snapped.Term
		parsed, err := replica.ParseSnapshot(p.snapped.Data)
		if err != nil {
			return nil, fmt.Errorf("snapshot of %s: %w", p.seat.name, err)
		}
		s.AppendTime, s.State = parsed.AppendTime, parsed.State
	} else {
		s.Next, s.AppendTime = p.disk.index.Begin()
		s.Producers, s.ProducersAsOf = p.mind.Producers(), p.mind.Commit()
	}
	i, t := uint64(index), uint64(term)
	return &raftpb.Snapshot{Data: s.Encode(nil), Metadata: &raftpb.SnapshotMetadata{ConfState: conf, Index: &i, Term: &t}}, nil
}

// install has a snapshot of another replica take the log's place.
func (p *Partition) install(a *replica.Append) {
	meta := a.Snapshot.GetMetadata()
	state, err := replica.ParseSnapshot(a.Snapshot.GetData())
	if err != nil {
		panic(fmt.Sprintf("actors: %s: a snapshot passed the mind: %v", p.seat.name, err))
	}
	conf, err := proto.MarshalOptions{Deterministic: true}.Marshal(meta.GetConfState())
	if err != nil {
		panic(fmt.Sprintf("actors: %s: marshal a configuration: %v", p.seat.name, err))
	}
	index, term := codec.Index(meta.GetIndex()), codec.Term(meta.GetTerm())
	p.conf = replica.ConfChange{Index: state.ConfAsOf, State: conf}
	p.house.log.Info("a snapshot takes the place of a log", "partition", p.seat.name, "entry", index, "offset", state.Next)
	p.disk.install(a, wal.Hard{
		Term: a.Term, Vote: a.Vote, Commit: index, Before: index, BeforeTerm: term,
		Start: state.Next, Next: state.Next, AppendTime: state.AppendTime, Conf: conf, ConfAsOf: state.ConfAsOf,
	}, wal.Snapshot{Index: index, Term: term, Data: a.Snapshot.GetData()})
}

// installed goes on with the log that begins behind the snapshot.
func (p *Partition) installed(m *installed) {
	if m.life != p.disk.life || p.mind == nil {
		return
	}
	if m.err != nil {
		p.diskTrouble(m.err)
		return
	}
	p.house.tallies.snapshotsInstalled.Add(1)
	p.disk.wrote()
	p.disk.index, p.store.index = m.index, m.index
	p.payloads = payloads{}
	meta := m.append.Snapshot.GetMetadata()
	p.snapped = wal.Snapshot{Index: codec.Index(meta.GetIndex()), Term: codec.Term(meta.GetTerm()), Data: m.append.Snapshot.GetData()}
	p.snapAt, p.given = p.snapped.Index, p.disk.index.Last()
	if p.machine == nil {
		p.house.seen(SeenSnapshot)
	} else {
		p.house.seen(SeenMachine)
		state, err := replica.ParseSnapshot(p.snapped.Data)
		if err == nil {
			err = p.machine.restore(state.State)
		}
		if err != nil {
			p.quarantine(fmt.Errorf("snapshot of entry %d: %w", p.snapped.Index, err))
			return
		}
		p.machine.settled()
		p.regroup()
	}
	p.publish()
	p.mind.Persisted(m.append)
	p.carryOut(p.mind.Take())
}

// install replaces the log, behind what waits on the lane; then entries that
// came with the snapshot are written.
func (d *disk) install(a *replica.Append, h wal.Hard, s wal.Snapshot) {
	d.writing = append(d.writing, inWriting{a, d.house.clock.Now()})
	life, log, w := d.life, d.log, writeOf(a)
	d.lane.Do(func() {
		m := &installed{life: life, append: a}
		m.err = wal.Guard(func() (err error) {
			if m.index, err = log.Install(h, s); err != nil || len(w.Entries) == 0 {
				return err
			}
			if err = log.Write(w); err == nil {
				m.index.Add(w.Entries)
			}
			return err
		})
		d.post(m)
	})
}
