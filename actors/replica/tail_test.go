package replica

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
)

// batchEntry is the data of an entry of count records at base.
func batchEntry(base codec.Offset, count int32, time codec.Millis) []byte {
	return codec.AppendBatchEntry(nil, codec.Descriptor{BaseOffset: base, Count: count, Size: codec.BatchHeaderBytes, AppendTime: time, ProducerID: -1})
}

func TestTailFollowsTheLog(t *testing.T) {
	var l tail
	add := func(i codec.Index, base codec.Offset, count int32, time codec.Millis) {
		require.NoError(t, l.append(i, raftpb.EntryNormal, batchEntry(base, count, time)))
	}
	add(2, 0, 3, 10)
	require.NoError(t, l.append(3, raftpb.EntryNormal, nil))
	require.NoError(t, l.append(4, raftpb.EntryConfChangeV2, nil))
	require.NoError(t, l.append(5, raftpb.EntryNormal, codec.AppendStartEntry(nil, 1)))
	add(6, 3, 2, 11)
	require.Equal(t, mark{6, 5, 11}, l.end())

	require.NoError(t, l.append(5, raftpb.EntryNormal, nil), "a new leader's empty entry cuts the batch behind it")
	require.Equal(t, mark{2, 3, 10}, l.end())
	add(6, 3, 9, 10)

	l.commit(5)
	require.Equal(t, mark{6, 12, 10}, l.end())
	require.Len(t, l.marks, 1, "what is committed is forgotten")
	l.commit(6)
	require.Empty(t, l.marks)
	require.Equal(t, mark{6, 12, 10}, l.end())
}

func TestTailRefuses(t *testing.T) {
	begin := func() tail { return tail{base: mark{5, 8, 100}} }
	for name, c := range map[string]struct {
		index codec.Index
		data  []byte
		says  string
	}{
		"a gap in offsets":      {6, batchEntry(9, 1, 100), "entry 6 begins at offset 9 and time 100, the batch before it ends at 8 and 100"},
		"an offset given twice": {6, batchEntry(7, 1, 100), "begins at offset 7"},
		"a time that goes back": {6, batchEntry(8, 1, 99), "and time 99"},
		"a committed overwrite": {5, batchEntry(5, 3, 100), "entry 5 overwrites the batch at 5, which is committed"},
		"a broken descriptor":   {6, []byte{byte(codec.EntryBatch), 1}, "parse descriptor"},
	} {
		t.Run(name, func(t *testing.T) {
			l := begin()
			require.ErrorContains(t, l.append(c.index, raftpb.EntryNormal, c.data), c.says)
			require.Equal(t, begin(), l)
		})
	}
}

// Whatever the durable log ends with, New finds its end, and where it goes on
// once the uncommitted part is cut.
func TestTailIsLoaded(t *testing.T) {
	d := newDisk([]codec.ReplicaID{1, 2, 3})
	d.term = 2
	for i, data := range [][]byte{nil, batchEntry(0, 2, 10), batchEntry(2, 2, 20), nil, batchEntry(4, 1, 30)} {
		d.entries = append(d.entries, Entry{Index: codec.Index(i + 2), Term: 2, Data: data})
	}
	for commit, base := range map[codec.Index]mark{
		1: {1, 0, 0}, 2: {2, 0, 0}, 3: {3, 2, 10}, 4: {4, 4, 20}, 5: {5, 4, 20}, 6: {6, 5, 30},
	} {
		d.commit = commit
		m, err := d.open(1)
		require.NoError(t, err)
		require.Equal(t, base, m.tail.base, "commit %d", commit)
		require.Equal(t, codec.Offset(5), m.Next())
	}
	d.commit = 3
	_, err := New(Config{ID: 1, Group: 7, Storage: d, Next: 4})
	require.ErrorContains(t, err, "start replica 1 of group 7: the log ends at offset 5")
}
