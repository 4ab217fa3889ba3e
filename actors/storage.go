package actors

import (
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// storage shows a replica's durable log to raft. It changes only in the
// actor's turn, when the disk has answered.
type storage struct {
	hard  wal.Hard
	index *wal.Index
	// whole says that what is read is to be sent: then entries count with their
	// batches.
	whole    func() bool
	snapshot func() (*raftpb.Snapshot, error)
}

// InitialState is the hard state as of the opening of the log.
func (s *storage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	conf, err := replica.ParseConf(s.hard.Conf)
	if err != nil {
		return nil, nil, err
	}
	term, vote := uint64(s.hard.Term), uint64(s.hard.Vote)
	commit := uint64(max(s.hard.Commit, s.hard.Before))
	return &raftpb.HardState{Term: &term, Vote: &vote, Commit: &commit}, conf, nil
}

// Entries come from memory, or by reading the WAL.
func (s *storage) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	before, _ := s.index.Before()
	if lo <= uint64(before) {
		return nil, raft.ErrCompacted
	}
	if hi > uint64(s.index.Last())+1 {
		return nil, raft.ErrUnavailable
	}
	list, ok := s.index.Entries(codec.Index(lo), codec.Index(hi), maxBytes)
	if !ok {
		var err error
		if list, err = s.index.ReadEntries(codec.Index(lo), codec.Index(hi), maxBytes); err != nil {
			return nil, fmt.Errorf("entries [%d, %d): %w", lo, hi, err)
		}
	}
	if s.whole() {
		list = upTo(list, maxBytes)
	}
	out := make([]*raftpb.Entry, len(list))
	for i := range list {
		index, term := uint64(list[i].Index), uint64(list[i].Term)
		out[i] = &raftpb.Entry{Index: &index, Term: &term, Type: raftpb.EntryType(list[i].Type).Enum(), Data: list[i].Data}
	}
	return out, nil
}

// Term is answered from memory.
func (s *storage) Term(i uint64) (uint64, error) {
	before, _ := s.index.Before()
	if i < uint64(before) {
		return 0, raft.ErrCompacted
	}
	term, ok := s.index.Term(codec.Index(i))
	if !ok {
		return 0, raft.ErrUnavailable
	}
	return uint64(term), nil
}

// FirstIndex is the first entry of the log.
func (s *storage) FirstIndex() (uint64, error) {
	before, _ := s.index.Before()
	return uint64(before) + 1, nil
}

// LastIndex is the last durable entry.
func (s *storage) LastIndex() (uint64, error) { return uint64(s.index.Last()), nil }

// Snapshot is for followers that are behind the log's beginning.
func (s *storage) Snapshot() (*raftpb.Snapshot, error) { return s.snapshot() }

// upTo is the beginning of list whose batches and data are at most maxBytes, or
// its first entry.
func upTo(list []wal.Entry, maxBytes uint64) []wal.Entry {
	bytes := uint64(0)
	for i := range list {
		bytes += uint64(len(list[i].Data))
		if run, ok, err := codec.ParseBatchEntry(list[i].Data); err == nil && ok && list[i].Type == 0 {
			bytes += uint64(run.Bytes())
		}
		if i > 0 && bytes > maxBytes {
			return list[:i]
		}
	}
	return list
}
