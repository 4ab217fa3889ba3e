package client

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// store puts batches of so many records into a log, each record a number.
func (l *log) store(t testing.TB, c codec.Compression, sizes ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range sizes {
		var w codec.Builder
		for i := range n {
			w.Append(codec.Millis(1000+int(l.high())+i), nil, fmt.Append(nil, int(l.high())+i), []codec.Header{{Key: "h", Value: []byte("v")}})
		}
		b, err := w.Build(c)
		require.NoError(t, err)
		own := append(codec.Batch(nil), b...)
		own.Stamp(l.high(), 1)
		l.batches = append(l.batches, own)
	}
	for w := range l.waiters {
		if l.high() > w.offset {
			go w.fire()
		}
	}
}

// drain polls until each partition is at its end, and wants every record from
// at on, once and in order.
func drain(t *testing.T, n *Consumer, at, end map[codec.Partition]codec.Offset) {
	t.Helper()
	short := func() bool {
		for p := range end {
			if at[p] < end[p] {
				return true
			}
		}
		return false
	}
	for short() {
		rs, err := n.Poll(t.Context())
		require.NoError(t, err)
		p := rs.Partition()
		for rs.Next() {
			rec := rs.Record()
			require.Equal(t, at[p], rec.Offset, "partition %d", p)
			require.Equal(t, fmt.Sprint(at[p]), string(rec.Value))
			require.Equal(t, "h", rec.Headers[0].Key)
			at[p]++
		}
	}
}

// asOld makes a client believe that its servers do not push.
func asOld(c *Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		l.features = nil
	}
}

// ways runs a test against a server that pushes, and one that does not.
func ways(t *testing.T, partitions int, test func(*testing.T, *Client, *memory)) {
	for _, old := range []bool{false, true} {
		t.Run(map[bool]string{false: "pushed", true: "fetched"}[old], func(t *testing.T) {
			m := newMemory("t", partitions)
			addr, _ := serve(t, m, "127.0.0.1:0")
			c := dial(t, Options{}, addr)
			if old {
				asOld(c)
			}
			test(t, c, m)
		})
	}
}

func consume(t *testing.T, c *Client, o ConsumerOptions) *Consumer {
	t.Helper()
	n, err := c.Consumer(t.Context(), "t", o)
	require.NoError(t, err)
	t.Cleanup(n.Close)
	return n
}

func TestAConsumerReadsWhatIsThereAndWhatComes(t *testing.T) {
	ways(t, 3, func(t *testing.T, c *Client, m *memory) {
		at, end := map[codec.Partition]codec.Offset{}, map[codec.Partition]codec.Offset{}
		for i, l := range m.topics["t"] {
			for c := codec.NoCompression; c <= codec.Zstd; c++ {
				l.store(t, c, 1, 30, 200)
			}
			end[codec.Partition(i)] = 5 * 231
		}
		n := consume(t, c, ConsumerOptions{BufferBytes: 5000})
		drain(t, n, at, end)
		require.Equal(t, end, n.Positions())
		for i := range 10 {
			m.topics["t"][i%3].store(t, codec.NoCompression, 2)
			end[codec.Partition(i%3)] += 2
			drain(t, n, at, end)
		}
	})
}

func TestWhereAConsumerBegins(t *testing.T) {
	ways(t, 1, func(t *testing.T, c *Client, m *memory) {
		l := m.topics["t"][0]
		l.store(t, codec.NoCompression, 10, 10, 10)
		for _, o := range []struct {
			ConsumerOptions
			first codec.Offset
		}{
			{ConsumerOptions{}, 0},
			{ConsumerOptions{From: FromOffset(15)}, 15},
			{ConsumerOptions{From: FromTime(1010)}, 10},
			{ConsumerOptions{From: FromNewest(), Positions: map[codec.Partition]codec.Offset{0: 29}}, 29},
		} {
			n := consume(t, c, o.ConsumerOptions)
			drain(t, n, map[codec.Partition]codec.Offset{0: o.first}, map[codec.Partition]codec.Offset{0: 30})
		}
		n := consume(t, c, ConsumerOptions{From: FromNewest()})
		l.store(t, codec.NoCompression, 1)
		drain(t, n, map[codec.Partition]codec.Offset{0: 30}, map[codec.Partition]codec.Offset{0: 31})
		_, err := c.Consumer(t.Context(), "t", ConsumerOptions{Partitions: []codec.Partition{1}})
		require.ErrorIs(t, err, codec.E(codec.UnknownPartition))
		_, err = c.Consumer(t.Context(), "none", ConsumerOptions{})
		require.ErrorIs(t, err, codec.E(codec.UnknownTopic))
	})
}

// take polls until it has so many records.
func take(t *testing.T, n *Consumer, count int) (values []string) {
	t.Helper()
	for len(values) < count {
		rs, err := n.Poll(t.Context())
		require.NoError(t, err)
		for len(values) < count && rs.Next() {
			values = append(values, string(rs.Record().Value))
		}
	}
	return values
}

// What was not taken comes again; Seek goes anywhere, and Pause holds back.
func TestSeekPauseAndWhatWasNotTaken(t *testing.T) {
	ways(t, 2, func(t *testing.T, c *Client, m *memory) {
		m.topics["t"][0].store(t, codec.NoCompression, 10, 10)
		m.topics["t"][1].store(t, codec.NoCompression, 1)
		n := consume(t, c, ConsumerOptions{})
		require.NoError(t, n.Pause(1))
		require.Equal(t, []string{"0", "1", "2"}, take(t, n, 3))
		require.Equal(t, []string{"3", "4"}, take(t, n, 2))
		require.Equal(t, map[codec.Partition]codec.Offset{0: 5, 1: 0}, n.Positions())
		require.NoError(t, n.Seek(0, 18))
		require.Equal(t, []string{"18", "19"}, take(t, n, 2))
		require.NoError(t, n.Seek(0, 2))
		require.Equal(t, []string{"2"}, take(t, n, 1))
		require.NoError(t, n.Pause(0))
		require.NoError(t, n.Resume(1))
		require.Equal(t, []string{"0"}, take(t, n, 1))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := n.Poll(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded, "partition 0 is held back")
		require.NoError(t, n.Resume(0))
		require.Equal(t, []string{"3"}, take(t, n, 1))
		at, err := n.Position(0)
		require.NoError(t, err)
		require.Equal(t, codec.Offset(4), at)
		require.ErrorIs(t, n.Seek(7, 0), codec.E(codec.UnknownPartition))
	})
}

func TestTheEndIsTold(t *testing.T) {
	ways(t, 1, func(t *testing.T, c *Client, m *memory) {
		n := consume(t, c, ConsumerOptions{TellEnd: true})
		for round := range 3 {
			rs, err := n.Poll(t.Context())
			require.NoError(t, err)
			require.True(t, rs.AtEnd())
			require.False(t, rs.Next())
			require.Equal(t, codec.Offset(round), rs.HighWatermark())
			m.topics["t"][0].store(t, codec.NoCompression, 1)
			require.Equal(t, []string{fmt.Sprint(round)}, take(t, n, 1))
		}
	})
}

// Run counts what a handler took, and gives again what it refused.
func TestRunCountsWhatWasHandled(t *testing.T) {
	ways(t, 1, func(t *testing.T, c *Client, m *memory) {
		m.topics["t"][0].store(t, codec.NoCompression, 5, 5)
		n := consume(t, c, ConsumerOptions{})
		refusal := errors.New("the table is locked")
		for range 2 {
			err := n.Run(t.Context(), func(_ context.Context, rs *Records) error {
				require.True(t, rs.Next())
				require.Equal(t, "0", string(rs.Record().Value))
				for rs.Next() {
				}
				return refusal
			})
			require.Equal(t, refusal, err)
			require.Equal(t, codec.Offset(0), n.Positions()[0])
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := n.Run(ctx, func(context.Context, *Records) error {
			cancel()
			return nil // without a look at them
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, codec.Offset(10), n.Positions()[0])
	})
}

// A batch that cannot be read is named once, in its place.
func TestAConsumerStepsOverADamagedBatch(t *testing.T) {
	ways(t, 1, func(t *testing.T, c *Client, m *memory) {
		l := m.topics["t"][0]
		l.store(t, codec.NoCompression, 2, 2, 2)
		l.store(t, codec.Zstd, 100)
		l.store(t, codec.NoCompression, 1)
		l.mu.Lock()
		l.batches[1][len(l.batches[1])-1] ^= 1 // its CRC does not hold
		poisoned := l.batches[3]
		clear(poisoned[codec.BatchHeaderBytes:]) // its CRC does, its records are none
		copyCRC(poisoned)
		l.mu.Unlock()
		n := consume(t, c, ConsumerOptions{})
		require.Equal(t, []string{"0", "1"}, take(t, n, 2))
		damaged := func(base, next codec.Offset) {
			t.Helper()
			_, err := n.Poll(t.Context())
			var d *DamagedBatch
			require.ErrorAs(t, err, &d)
			require.Equal(t, []codec.Offset{base, next}, []codec.Offset{d.Base, d.Next})
		}
		damaged(2, 4)
		require.Equal(t, []string{"4", "5"}, take(t, n, 2))
		damaged(6, 106)
		require.Equal(t, []string{"106"}, take(t, n, 1))

		var named []codec.Offset
		n = consume(t, c, ConsumerOptions{OnDamaged: func(d *DamagedBatch) error { named = append(named, d.Base); return nil }})
		stop, records := errors.New("enough"), 0
		err := n.Run(t.Context(), func(_ context.Context, rs *Records) error {
			for rs.Next() {
				if records++; records == 5 {
					return stop
				}
			}
			return nil
		})
		require.Equal(t, stop, err)
		require.Equal(t, []codec.Offset{2, 6}, named)
	})
}

// copyCRC makes a batch's checksum hold.
func copyCRC(b codec.Batch) {
	crc := codec.CRC32C(b[codec.BatchHeadBytes:])
	b[17], b[18], b[19], b[20] = byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc)
}

// Records that were trimmed away are an error, or passed over by who said so.
func TestTrimmedRecords(t *testing.T) {
	ways(t, 2, func(t *testing.T, c *Client, m *memory) {
		l := m.topics["t"][0]
		l.store(t, codec.NoCompression, 10, 10)
		l.mu.Lock()
		l.start, l.batches = 10, l.batches[1:]
		l.mu.Unlock()
		m.topics["t"][1].store(t, codec.NoCompression, 1)
		o := ConsumerOptions{Partitions: []codec.Partition{0}, Positions: map[codec.Partition]codec.Offset{0: 3}}
		n := consume(t, c, o)
		for range 2 { // it is all there is to say
			_, err := n.Poll(t.Context())
			var gone *Trimmed
			require.ErrorAs(t, err, &gone)
			require.Equal(t, []codec.Offset{3, 10}, []codec.Offset{gone.Position, gone.Oldest})
			require.ErrorIs(t, err, codec.E(codec.OffsetOutOfRange))
		}
		require.NoError(t, n.Seek(0, 12))
		require.Equal(t, []string{"12"}, take(t, n, 1))

		o.SkipTrimmed = true
		require.Equal(t, []string{"10", "11"}, take(t, consume(t, c, o), 2))

		n = consume(t, c, ConsumerOptions{Positions: map[codec.Partition]codec.Offset{0: 99}, SkipTrimmed: true})
		var fails, records int
		for fails+records < 2 { // above the end; the other partition goes on
			rs, err := n.Poll(t.Context())
			if err != nil {
				require.ErrorIs(t, err, codec.E(codec.OffsetOutOfRange))
				fails++
				continue
			}
			for rs.Next() {
				records++
			}
		}
		require.Equal(t, []int{1, 1}, []int{fails, records})
	})
}

// What is read ahead is bounded, and credit comes back with what is taken.
func TestReadAheadIsBounded(t *testing.T) {
	ways(t, 1, func(t *testing.T, c *Client, m *memory) {
		l := m.topics["t"][0]
		for range 300 {
			l.store(t, codec.NoCompression, 10)
		}
		one := len(l.batches[0])
		const most = 3000
		n := consume(t, c, ConsumerOptions{BufferBytes: most})
		u := n.cursors[0]
		held := func() int64 {
			n.mu.Lock()
			defer n.mu.Unlock()
			require.LessOrEqual(t, u.held(), int64(most+2*one))
			return u.held()
		}
		for held() < most/2 {
			runtime.Gosched()
		}
		at, end := map[codec.Partition]codec.Offset{}, map[codec.Partition]codec.Offset{}
		for o := codec.Offset(100); o <= 3000; o += 100 {
			end[0] = o
			take := int(o - at[0])
			for take > 0 {
				rs, err := n.Poll(t.Context())
				require.NoError(t, err)
				for take > 0 && rs.Next() {
					require.Equal(t, at[0], rs.Record().Offset)
					at[0]++
					take--
				}
				held()
			}
		}
	})
}

// Partitions that a topic gets are read from their first record.
func TestAConsumerNoticesNewPartitions(t *testing.T) {
	m := newMemory("t", 1)
	addr, _ := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{MetadataAge: time.Millisecond}, addr)
	n := consume(t, c, ConsumerOptions{From: FromNewest()})
	m.mu.Lock()
	m.make("t", 1)
	l := m.topics["t"][1]
	m.mu.Unlock()
	l.store(t, codec.NoCompression, 3)
	require.Equal(t, []string{"0", "1", "2"}, take(t, n, 3))
}

// Poll says what it waits for.
func TestPollSaysWhatKeepsRecordsAway(t *testing.T) {
	m := newMemory("t", 1)
	addr, cut := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	n := consume(t, c, ConsumerOptions{})
	cut()
	for codec.CodeOf(n.trouble()) != codec.Unavailable { // before that the broker may say that it stops
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := n.Poll(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, codec.E(codec.Unavailable))
	n.Close()
	_, err = n.Poll(t.Context())
	require.ErrorContains(t, err, `the consumer of "t" is closed`)
}

// Pauses are short again once a server that does not push answers.
func TestAFetchThatGoesWellEndsTheLongPauses(t *testing.T) {
	n := &Consumer{topic: "t", options: ConsumerOptions{}.withDefaults(), wake: make(chan struct{}, 1)}
	u := n.add(0, 0)
	s := &subscription{cursor: u, ended: make(chan error, 1)}
	require.True(t, u.enter(s))
	for range 10 {
		u.pause.NextBackOff()
	}
	u.arrived(s, &codec.Fetched{}, &answer{})
	require.Less(t, u.pause.NextBackOff(), 50*time.Millisecond)
}

// A partition that is named twice would be read twice, without a word.
func TestAConsumerOfAPartitionNamedTwice(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 2), "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	n, err := c.Consumer(t.Context(), "t", ConsumerOptions{Partitions: []codec.Partition{1, 0, 1}})
	if err == nil {
		n.Close()
	}
	require.ErrorIs(t, err, codec.E(codec.InvalidArgument))
	require.ErrorContains(t, err, "partition 1 of \"t\" is named twice")
}
