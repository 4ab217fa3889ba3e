package world_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/world"
)

// Every disk call of a broker's short life fails once, in every way a disk
// can: the broker must end in the state that the architecture names, give no
// wrong answer, and have all that it acknowledged when it starts again.

const kthBatches = 12

// kthLife plays one life: a topic, a dozen batches one after the other, a
// clean end. fault, when not None, is laid for the k-th call from the start
// of the broker on. It returns the number of calls made.
func kthLife(t *testing.T, k int, fault world.Fault) (calls int) {
	w := world.New(uint64(7), 1_700_000_000_000)
	defer w.Close()
	n, err := w.Node("n1")
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	if fault != world.None {
		n.Disk.FailCall(k, fault)
	}
	l := &kth{t: t, w: w, n: n, fault: fault}
	n.Disk.OnCall(func(c world.Call) {
		if c.Seq == k && !c.Done {
			l.failed = c
		}
	})
	name := func() string { return fmt.Sprintf("call %d (%v) fails with %v", k, l.failed, fault) }
	l.live()
	l.judge(name())
	calls = n.Disk.Calls()
	n.Kill()
	require.NoError(t, n.Disk.Crash(world.Lost, nil), name())
	l.again(name)
	return calls
}

type kth struct {
	t      *testing.T
	w      *world.World
	n      *world.Node
	fault  world.Fault
	failed world.Call     // the call that the fault was laid for
	acked  []codec.Offset // base offset of acknowledged batch i, or -1
	codes  []codec.Code
	made   bool // the topic was acknowledged
}

// live plays the faulty life. Whatever it is told must be one of the answers
// that a failing disk allows.
func (l *kth) live() {
	l.n.Start()
	run := func(until func() bool) { _ = l.w.Run(until, 40*time.Second) }
	run(func() bool { s, err := l.n.Started(); return s || err != nil })
	if s, _ := l.n.Started(); !s || l.n.Broker == nil {
		return // it says why it does not start, or its disk hangs
	}
	created := false
	l.n.Broker.CreateTopic(codec.CreateTopic{Topic: "t", Partitions: 1}, func(_ codec.TopicDescription, err error) { l.made, created = err == nil, true })
	run(func() bool { return created })
	for i := range kthBatches {
		l.acked = append(l.acked, -1)
		done := false
		l.produce(i, func(p codec.Produced, err error) {
			done = true
			l.codes = append(l.codes, codec.CodeOf(err))
			if err == nil {
				l.acked[i] = p.Base
			}
		})
		run(func() bool { return done })
	}
	if n := len(l.codes); n > 0 && l.codes[n-1] != codec.OK {
		_ = l.w.RunFor(5 * time.Second) // room is looked for from time to time
		l.acked = append(l.acked, -1)
		l.produce(kthBatches, func(p codec.Produced, err error) {
			l.codes = append(l.codes, codec.CodeOf(err))
			if err == nil {
				l.acked[kthBatches] = p.Base
			}
		})
		_ = l.w.RunFor(time.Second)
	}
	left := false
	l.n.Broker.Leave(func() { left = true })
	run(func() bool { return left })
}

// judge holds what the producer was told against the states that the
// architecture names (4.9): a failed fsync or read ends the replica, a full
// disk refuses until there is room and then resumes, a hanging disk has an
// unknown outcome.
func (l *kth) judge(name string) {
	allowed := map[codec.Code]bool{codec.OK: true, codec.Unknown: true, codec.Unavailable: true, codec.UnknownTopic: true}
	full := l.fault == world.ENOSPC && (l.failed.Op == "write" || l.failed.Op == "allocate" || l.failed.Op == "foreign append" || l.failed.Op == "open" || l.failed.Op == "truncate")
	switch {
	case full:
		allowed[codec.DiskFull] = true
	case l.fault != world.Hang:
		allowed[codec.DiskFailed], allowed[codec.DiskFull] = true, true
	}
	for _, c := range l.codes {
		require.True(l.t, allowed[c], "%s: a producer was told %v", name, c)
	}
	if n := len(l.codes); n > 0 && full && l.made {
		require.Equal(l.t, codec.OK, l.codes[n-1], "%s: there is room, and it does not resume", name)
	}
	for i, c := range l.codes {
		if i > 0 && l.codes[i-1] == codec.Unknown && l.fault == world.EIO {
			require.Equal(l.t, codec.DiskFailed, c, "%s: the replica must stop", name)
		}
		if i > 0 && l.codes[i-1] == codec.DiskFailed {
			require.Equal(l.t, codec.DiskFailed, c, "%s: the replica must stay stopped", name)
		}
	}
}

func (l *kth) produce(i int, reply func(codec.Produced, error)) {
	h, err := l.n.Broker.Partition(codec.TopicPartition{Topic: "t"})
	if err == nil {
		err = h.Produce(context.Background(), kthBatch(l.t, i), reply)
	}
	if err != nil {
		reply(codec.Produced{}, err)
	}
}

func kthBatch(t *testing.T, i int) codec.Batch {
	var b codec.Builder
	for r := range 2 {
		b.Append(codec.Millis(i), nil, fmt.Appendf(nil, "batch %d record %d", i, r), nil)
	}
	p, err := b.Build(codec.NoCompression)
	require.NoError(t, err)
	return append(codec.Batch(nil), p...)
}

// again starts the broker on what is left, and reads.
func (l *kth) again(name func() string) {
	l.n.Start()
	err := l.w.Run(func() bool { s, err := l.n.Started(); return s || err != nil }, time.Minute)
	_, failure := l.n.Started()
	require.NoError(l.t, errors.Join(err, failure), name())
	if !l.made {
		return
	}
	h, err := l.n.Broker.Partition(codec.TopicPartition{Topic: "t"})
	require.NoError(l.t, err, name())
	_, hw, err := h.Bounds()
	require.NoError(l.t, err, name())
	got := map[codec.Offset]string{}
	for next := codec.Offset(0); next < hw; {
		p, err := h.Read(nil, next, 1<<20)
		require.NoError(l.t, err, name())
		for len(p) > 0 {
			b := codec.Batch(p)
			b = b[:b.Size()]
			rs := b.Records(b[codec.BatchHeaderBytes:])
			for rs.Next() {
				got[rs.Record().Offset] = string(rs.Record().Value)
				next = rs.Record().Offset + 1
			}
			require.NoError(l.t, rs.Err(), name())
			p = p[len(b):]
		}
	}
	for i, base := range l.acked {
		for r := range codec.Offset(2) {
			if base >= 0 {
				require.Equal(l.t, fmt.Sprintf("batch %d record %d", i, r), got[base+r], name())
			}
		}
	}
	require.LessOrEqual(l.t, len(got), 2*len(l.acked), name())
}

func TestTheKthDiskCallFails(t *testing.T) {
	calls := kthLife(t, -1, world.None)
	require.Greater(t, calls, 100)
	for _, f := range world.Faults() {
		for k := range calls {
			kthLife(t, k, f)
		}
	}
	t.Logf("%d lives, each with another failing call of %d", calls*len(world.Faults()), calls)
}
