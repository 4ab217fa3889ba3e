package client

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/troupe-mq/troupe/codec"
)

// Follow as a Span's Limit reads for ever.
const Follow codec.Offset = -1

// Span is what to read of a partition: [From, Limit).
type Span struct {
	Partition codec.Partition
	From      codec.Offset
	Limit     codec.Offset // Follow = no end
}

// ReadOptions shape a Reader; the zero value will do.
type ReadOptions struct {
	MaxBytes int          // of one fetch, 1 MiB: a Reader holds twice as much for each partition
	MaxWait  codec.Millis // of one long poll, 5,000
	OpenMax  int          // bytes that a compressed batch may become, 64 MiB
}

func (o ReadOptions) withDefaults() ReadOptions {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 20
	}
	if o.MaxWait <= 0 {
		o.MaxWait = 5000
	}
	if o.OpenMax <= 0 {
		o.OpenMax = 64 << 20
	}
	return o
}

// Reader reads spans of partitions, mostly ones with an end, by FETCH: it asks
// for nothing behind a limit. A Consumer follows. In order within each, as
// they come between them. Next is for one goroutine at a time.
type Reader struct {
	client  *Client
	topic   codec.Topic
	options ReadOptions
	ctx     context.Context
	cancel  context.CancelFunc
	fetches sync.WaitGroup
	ready   chan chunk  // room for one of each spot
	left    int         // spots that have not reached their limit
	chunk   chunk       // being read
	batch   codec.Batch // whose records these are
	records codec.Records
	inBatch bool
}

// spot is where a Reader is in one partition.
type spot struct {
	partition codec.Partition
	at        codec.Offset // of the next record to hand out
	fetch     codec.Offset // of the next fetch
	limit     codec.Offset
	high      codec.Offset
}

// chunk is what one fetch brought.
type chunk struct {
	cursor  *spot
	batches []byte
	high    codec.Offset
	err     error
}

// Read starts a Reader over spans of a topic.
func (c *Client) Read(topic codec.Topic, spans []Span, o ReadOptions) *Reader {
	r := &Reader{client: c, topic: topic, options: o.withDefaults(), ready: make(chan chunk, len(spans))}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for _, s := range spans {
		if s.Limit == Follow || s.From < s.Limit {
			r.left++
			r.start(&spot{partition: s.Partition, at: s.From, fetch: s.From, limit: s.Limit})
		}
	}
	return r
}

// Close ends the Reader and its fetches.
func (r *Reader) Close() {
	r.cancel()
	r.fetches.Wait()
}

// start fetches for a spot; there is one fetch a spot at a time.
func (r *Reader) start(c *spot) {
	tp := codec.TopicPartition{Topic: r.topic, Partition: c.partition}
	f := &codec.Fetch{TopicPartition: tp, Offset: c.fetch, MaxBytes: r.options.MaxBytes, MaxWait: r.options.MaxWait, MinBytes: 1}
	r.fetches.Go(func() {
		var got codec.Fetched
		err := r.client.read(r.ctx, tp, f, &got)
		r.ready <- chunk{cursor: c, batches: got.Batches, high: got.HighWatermark, err: err}
	})
}

// Next is the next record and its partition. The record is valid until the
// next call. It waits until there is one or ctx ends; io.EOF means that all
// limits are reached. After a *DamagedBatch (CORRUPT_BATCH) the following call
// goes on behind the batch; after any other the partition's part is over.
func (r *Reader) Next(ctx context.Context) (codec.Partition, *codec.Record, error) {
	for {
		if r.inBatch {
			if rec, err := r.fromBatch(); rec != nil || err != nil {
				return r.chunk.cursor.partition, rec, err
			}
			continue
		}
		if len(r.chunk.batches) > 0 {
			if err := r.openBatch(); err != nil {
				return r.chunk.cursor.partition, nil, err
			}
			continue
		}
		if r.left == 0 {
			return 0, nil, io.EOF
		}
		select {
		case r.chunk = <-r.ready:
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		}
		if err := r.arrived(); err != nil {
			return r.chunk.cursor.partition, nil, err
		}
	}
}

// arrived looks over a chunk and sends the next fetch ahead.
func (r *Reader) arrived() error {
	c := r.chunk.cursor
	if r.chunk.err != nil {
		r.left--
		r.chunk.batches = nil
		return r.chunk.err
	}
	c.high = r.chunk.high
	end, err := endOf(r.chunk.batches, c.fetch)
	if err != nil {
		r.left--
		r.chunk.batches = nil
		return err
	}
	c.fetch = end
	if c.limit != Follow && c.fetch >= c.limit {
		r.left-- // all that it needs is here
		return nil
	}
	r.start(c)
	return nil
}

// endOf is the offset behind the last of batches. Batches that do not go
// forward are refused: a server must not make a Reader go round.
func endOf(batches []byte, from codec.Offset) (codec.Offset, error) {
	for len(batches) > 0 {
		b, rest, err := codec.NextBatch(batches)
		if err != nil {
			return 0, err
		}
		next := behind(b)
		if next <= from {
			return 0, codec.Errorf(codec.CorruptLog, "batch [%d, %d) came where offset %d was asked for", b.BaseOffset(), next, from)
		}
		from, batches = next, rest
	}
	return from, nil
}

// openBatch begins the next batch of the chunk. A batch that is damaged is
// stepped over, after its error.
func (r *Reader) openBatch() error {
	b, rest, err := codec.NextBatch(r.chunk.batches)
	if err != nil {
		panic("client: a chunk that endOf passed is cut off")
	}
	r.batch, r.chunk.batches = b, rest
	err = b.CheckHead()
	var section []byte
	if err == nil {
		section, err = b.Open(r.options.OpenMax)
	}
	if err != nil {
		return r.damaged(err)
	}
	r.records, r.inBatch = b.Records(section), true
	return nil
}

// fromBatch is the next record of the open batch within the span; neither a
// record nor an error at its end.
func (r *Reader) fromBatch() (*codec.Record, error) {
	c := r.chunk.cursor
	for r.records.Next() {
		rec := r.records.Record()
		if rec.Offset < c.at {
			continue
		}
		if c.limit != Follow && rec.Offset >= c.limit {
			r.inBatch, r.chunk.batches = false, nil
			return nil, nil
		}
		c.at = rec.Offset + 1
		return rec, nil
	}
	r.inBatch = false
	if err := r.records.Err(); err != nil {
		return nil, r.damaged(err)
	}
	return nil, nil
}

// Clone is a record that may be kept.
func Clone(r *codec.Record) codec.Record {
	c := *r
	c.Key, c.Value = slices.Clone(r.Key), slices.Clone(r.Value)
	c.Headers = slices.Clone(r.Headers)
	for i := range c.Headers {
		c.Headers[i].Value = slices.Clone(c.Headers[i].Value)
	}
	return c
}

// Spans are those of all partitions of a topic, from the oldest records to
// those that are newest now, or for ever when follow is set.
func (c *Client) Spans(ctx context.Context, topic codec.Topic, follow bool) ([]Span, error) {
	d, err := c.DescribeTopic(ctx, topic)
	if err != nil {
		return nil, err
	}
	var spans []Span
	for _, p := range d.Partitions {
		oldest, newest, err := c.Offsets(ctx, codec.TopicPartition{Topic: topic, Partition: p.Partition})
		if err != nil {
			return nil, err
		}
		if follow {
			newest = Follow
		}
		spans = append(spans, Span{p.Partition, oldest, newest})
	}
	return spans, nil
}
