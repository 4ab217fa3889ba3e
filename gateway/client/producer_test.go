package client

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// all reads a topic from the oldest to what is newest now.
func all(t *testing.T, c *Client, topic codec.Topic) map[codec.Partition][]codec.Record {
	t.Helper()
	spans, err := c.Spans(t.Context(), topic, false)
	require.NoError(t, err)
	r := c.Read(topic, spans, ReadOptions{MaxBytes: 50_000})
	defer r.Close()
	out := map[codec.Partition][]codec.Record{}
	for {
		p, rec, err := r.Next(t.Context())
		if err == io.EOF {
			return out
		}
		require.NoError(t, err)
		out[p] = append(out[p], Clone(rec))
	}
}

// Every record comes back once, in order for each key, with every codec.
func TestKeyedRecordsKeepTheirOrder(t *testing.T) {
	for c := codec.NoCompression; c <= codec.Zstd; c++ {
		addr, _ := serve(t, newMemory("t", 6), "127.0.0.1:0")
		client := dial(t, Options{}, addr)
		p, err := client.Producer(t.Context(), "t", ProducerOptions{Compression: c, BatchBytes: 4000})
		require.NoError(t, err)
		const n = 5000
		for i := range n {
			r := codec.Record{Key: fmt.Appendf(nil, "key-%d", i%50), Value: fmt.Appendf(nil, "%d", i), Headers: []codec.Header{{Key: "n", Value: []byte{byte(i)}}}}
			require.NoError(t, p.Produce(t.Context(), r, nil))
		}
		require.NoError(t, p.Close(t.Context()))
		seen, last := 0, map[string]int{}
		for partition, records := range all(t, client, "t") {
			for i, r := range records {
				require.Equal(t, codec.Offset(i), r.Offset)
				require.Equal(t, codec.PartitionFor(r.Key, 6), partition)
				var v int
				_, err := fmt.Sscan(string(r.Value), &v)
				require.NoError(t, err)
				before, ok := last[string(r.Key)]
				require.True(t, !ok || before < v)
				require.Equal(t, byte(v), r.Headers[0].Value[0])
				last[string(r.Key)] = v
				seen++
			}
		}
		require.Equal(t, n, seen, c)
	}
}

func TestDoneTellsThePlace(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 2), "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{Linger: time.Hour})
	require.NoError(t, err)
	var mu sync.Mutex
	got := map[string]codec.Offset{}
	for i := range 10 {
		value := fmt.Sprint(i)
		var done Done
		if i%2 == 1 {
			done = func(at codec.Partition, o codec.Offset, err error) {
				mu.Lock()
				defer mu.Unlock()
				require.NoError(t, err)
				require.Equal(t, codec.Partition(1), at)
				got[value] = o
			}
		}
		require.NoError(t, p.ProduceTo(t.Context(), 1, codec.Record{Value: []byte(value)}, done))
	}
	require.NoError(t, p.Flush(t.Context()))
	require.Equal(t, map[string]codec.Offset{"1": 1, "3": 3, "5": 5, "7": 7, "9": 9}, got)
	require.ErrorContains(t, p.ProduceTo(t.Context(), 2, codec.Record{}, nil), `UNKNOWN_PARTITION: partition 2 of "t": it has 2`)
	require.NoError(t, p.Close(t.Context()))
	require.NoError(t, p.Close(t.Context()))
	require.ErrorContains(t, p.Produce(t.Context(), codec.Record{}, nil), "is closed")
}

func TestRecordsWithoutKeyStickToAPartitionForABatch(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 3), "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{BatchBytes: 1000, Linger: time.Hour})
	require.NoError(t, err)
	for range 300 {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Value: make([]byte, 100)}, nil))
	}
	require.NoError(t, p.Close(t.Context()))
	got := all(t, c, "t")
	require.Len(t, got, 3)
	for _, records := range got {
		require.InDelta(t, 100, len(records), 20)
	}
}

func TestLingerSendsWithoutFlush(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 1), "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{Linger: time.Millisecond})
	require.NoError(t, err)
	done := make(chan error, 1)
	require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("x")}, func(_ codec.Partition, _ codec.Offset, err error) { done <- err }))
	require.NoError(t, <-done)
	require.NoError(t, p.Close(t.Context()))
}

func TestFlushTellsTheFirstError(t *testing.T) {
	m := newMemory("t", 1)
	m.topics["t"][0].refuse = codec.Errorf(codec.DiskFull, "no room")
	addr, _ := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{NoRetry: true})
	require.NoError(t, err)
	require.NoError(t, p.Produce(t.Context(), codec.Record{}, nil))
	require.ErrorIs(t, p.Flush(t.Context()), codec.E(codec.DiskFull))
	require.NoError(t, p.Flush(t.Context()), "told once")
	require.NoError(t, p.Close(t.Context()))
}

func TestMemoryIsBoundedAndCloseGivesUp(t *testing.T) {
	m := newMemory("t", 1)
	m.topics["t"][0].hold = true
	addr, _ := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{BufferBytes: 10_000, BatchBytes: 1000})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	n := 0
	for ; err == nil; n++ {
		err = p.Produce(ctx, codec.Record{Value: make([]byte, 500)}, nil)
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, n, 25)
	err = p.Close(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "records without an answer")
}

func TestReaderLimitsAndTimes(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 1), "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{BatchBytes: 300})
	require.NoError(t, err)
	for i := range 100 {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Timestamp: codec.Millis(1000 + i), Value: fmt.Append(nil, i)}, nil))
	}
	require.NoError(t, p.Close(t.Context()))
	offset, found, err := c.OffsetForTime(t.Context(), tp0, 1050)
	require.NoError(t, err)
	require.True(t, found)
	require.LessOrEqual(t, offset, codec.Offset(50))

	r := c.Read("t", []Span{{0, 13, 77}, {0, 5, 5}}, ReadOptions{MaxBytes: 400})
	defer r.Close()
	for want := codec.Offset(13); want < 77; want++ {
		_, rec, err := r.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, rec.Offset)
	}
	_, _, err = r.Next(t.Context())
	require.Equal(t, io.EOF, err)

	r = c.Read("t", []Span{{0, 500, Follow}}, ReadOptions{})
	defer r.Close()
	_, _, err = r.Next(t.Context())
	require.ErrorIs(t, err, codec.E(codec.OffsetOutOfRange))
}

func TestAFollowerSeesWhatComes(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 2), "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	spans, err := c.Spans(t.Context(), "t", true)
	require.NoError(t, err)
	r := c.Read("t", spans, ReadOptions{})
	defer r.Close()
	p, err := c.Producer(t.Context(), "t", ProducerOptions{})
	require.NoError(t, err)
	for i := range 20 {
		require.NoError(t, p.ProduceTo(t.Context(), codec.Partition(i%2), codec.Record{Value: fmt.Append(nil, i)}, nil))
		require.NoError(t, p.Flush(t.Context()))
		_, rec, err := r.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), string(rec.Value))
	}
	require.NoError(t, p.Close(t.Context()))
}

// A batch that cannot be opened is one error; the reader goes on behind it.
func TestADamagedBatchIsSteppedOver(t *testing.T) {
	m := newMemory("t", 1)
	l := m.topics["t"][0]
	for i := range 3 {
		b := ready(t, fmt.Sprint(i))
		b.Stamp(codec.Offset(i), 1)
		if i == 1 {
			b[len(b)-1] ^= 1
		}
		l.batches = append(l.batches, b)
	}
	addr, _ := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	r := c.Read("t", []Span{{0, 0, 3}}, ReadOptions{})
	defer r.Close()
	_, rec, err := r.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, "0", string(rec.Value))
	_, _, err = r.Next(t.Context())
	require.ErrorIs(t, err, codec.E(codec.CorruptBatch))
	var damage *DamagedBatch
	require.ErrorAs(t, err, &damage)
	require.Equal(t, []any{tp0, codec.Offset(1), codec.Offset(2)}, []any{damage.TopicPartition, damage.Base, damage.Next})
	require.ErrorContains(t, err, "CORRUPT_BATCH: t/0: the batch of the offsets [1, 2) cannot be read: ")
	require.Equal(t, 1, strings.Count(err.Error(), "CORRUPT_BATCH"), "%v", err)
	_, rec, err = r.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, "2", string(rec.Value))
	_, _, err = r.Next(t.Context())
	require.Equal(t, io.EOF, err)
}
