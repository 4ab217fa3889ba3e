package replica

import (
	"fmt"

	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
)

// tail is the one truth about where the log's batches end. It remembers every
// batch that may still be cut, and the last one that may not; and which
// configurations may still be cut.
type tail struct {
	base  mark          // of the last batch at or below the commit index
	marks []mark        // of the batches above, ascending
	confs []codec.Index // of the configurations above the commit index, ascending
}

// mark is what follows the batches of one entry.
type mark struct {
	index codec.Index
	next  codec.Offset // of the next batch
	time  codec.Millis // the last batch's append time: no later one is lower
}

// end is the mark of the log's last batch.
func (t *tail) end() mark {
	if n := len(t.marks); n > 0 {
		return t.marks[n-1]
	}
	return t.base
}

// append takes one entry that the log now ends with: what was there from its
// index on is cut.
func (t *tail) append(index codec.Index, typ raftpb.EntryType, data []byte) error {
	if index <= t.base.index {
		return fmt.Errorf("entry %d overwrites the batch at %d, which is committed", index, t.base.index)
	}
	for n := len(t.marks); n > 0 && t.marks[n-1].index >= index; n-- {
		t.marks = t.marks[:n-1]
	}
	for n := len(t.confs); n > 0 && t.confs[n-1] >= index; n-- {
		t.confs = t.confs[:n-1]
	}
	if typ != raftpb.EntryNormal {
		t.confs = append(t.confs, index)
		return nil
	}
	run, ok, err := codec.ParseBatchEntry(data)
	if err != nil || !ok {
		return err
	}
	if first, end := run.At(0), t.end(); first.BaseOffset != end.next || first.AppendTime < end.time {
		return fmt.Errorf("entry %d begins at offset %d and time %d, the batch before it ends at %d and %d",
			index, first.BaseOffset, first.AppendTime, end.next, end.time)
	}
	t.marks = append(t.marks, mark{index: index, next: run.Limit(), time: run.AppendTime()})
	return nil
}

// commit forgets how to go back to or before index.
func (t *tail) commit(index codec.Index) {
	for len(t.confs) > 0 && t.confs[0] <= index {
		t.confs = t.confs[1:]
	}
	n := 0
	for n < len(t.marks) && t.marks[n].index <= index {
		n++
	}
	if n > 0 {
		t.base = t.marks[n-1]
		t.marks = t.marks[n:]
	}
}

// restore begins anew after a snapshot.
func (t *tail) restore(index codec.Index, s Snapshot) {
	*t = tail{base: mark{index: index, next: s.Next, time: s.AppendTime}}
}

// load finds the marks of [commit+1, last] in the durable log, and checks that
// they end where the log itself says.
func (t *tail) load(cfg Config, first, commit, last codec.Index) error {
	t.base = mark{index: commit, next: cfg.Next, time: cfg.AppendTime}
	found := false
	err := scan(cfg, commit+1, last+1, func(e *raftpb.Entry) error {
		run, ok, err := codec.ParseBatchEntry(e.GetData())
		if ok && err == nil && !found && e.GetType() == raftpb.EntryNormal {
			found = true
			t.base.next = run.Base()
			if t.base.time, err = timeBefore(cfg, first, codec.Index(e.GetIndex())); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		return t.append(codec.Index(e.GetIndex()), e.GetType(), e.GetData())
	})
	if err != nil {
		return fmt.Errorf("read the uncommitted end of the log: %w", err)
	}
	if t.end().next != cfg.Next {
		return fmt.Errorf("the log ends at offset %d by its entries, at %d by its index", t.end().next, cfg.Next)
	}
	return nil
}

// scan reads the entries of [lo, limit).
func scan(cfg Config, lo, limit codec.Index, see func(*raftpb.Entry) error) error {
	for lo < limit {
		entries, err := cfg.Storage.Entries(uint64(lo), uint64(limit), messageBytesMax)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return fmt.Errorf("no entry %d", lo)
		}
		for _, e := range entries {
			if err := see(e); err != nil {
				return err
			}
		}
		lo += codec.Index(len(entries))
	}
	return nil
}

// timeBefore is the append time of the last batch before index.
func timeBefore(cfg Config, first, index codec.Index) (codec.Millis, error) {
	for i := index - 1; i >= first; i-- {
		entries, err := cfg.Storage.Entries(uint64(i), uint64(i)+1, messageBytesMax)
		if err != nil {
			return 0, err
		}
		run, ok, err := codec.ParseBatchEntry(entries[0].GetData())
		if err != nil {
			return 0, err
		}
		if ok && entries[0].GetType() == raftpb.EntryNormal {
			return run.AppendTime(), nil
		}
	}
	return cfg.StartTime, nil
}
