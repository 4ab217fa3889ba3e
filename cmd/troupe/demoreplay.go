package main

import (
	"context"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// follow reads [from, limit) of a partition through its handle, waiting for
// what is not there yet.
func follow(ctx context.Context, h *actors.Handle, from, limit codec.Offset, each func(*codec.Record) error) error {
	moved := make(chan struct{}, 1)
	for from < limit {
		read, err := h.Read(nil, from, 256<<10)
		if err != nil {
			return err
		}
		if len(read) == 0 {
			cancel := h.Await(from, time.Second, func() {
				select {
				case moved <- struct{}{}:
				default:
				}
			})
			select {
			case <-moved:
			case <-ctx.Done():
				cancel()
				return fmt.Errorf("%s: waited for offset %d: %w", h.Name(), from, ctx.Err())
			}
			continue
		}
		if from, err = walk(read, from, limit, each); err != nil {
			return err
		}
	}
	return nil
}

// walk calls each for the records of batches in [from, limit), and returns
// the offset behind the last.
func walk(batches []byte, from, limit codec.Offset, each func(*codec.Record) error) (codec.Offset, error) {
	for len(batches) > 0 {
		b, rest, err := codec.NextBatch(batches)
		if err != nil {
			return from, err
		}
		section, err := b.Open(1 << 20)
		if err != nil {
			return from, err
		}
		records := b.Records(section)
		for records.Next() {
			r := records.Record()
			if r.Offset < from || r.Offset >= limit {
				continue
			}
			if err := each(r); err != nil {
				return from, err
			}
			from = r.Offset + 1
		}
		if err := records.Err(); err != nil {
			return from, err
		}
		batches = rest
	}
	return from, nil
}

// analyse is the fourth, who was not there while it happened: back to noon,
// then everything up to the newest.
func (p *play) analyse(ctx context.Context) error {
	begun, noon := time.Now(), storyDay+12*hour
	seen := map[string]int64{}
	var early, skipped int64
	for n := range codec.Partition(demoPartitions) {
		h, err := p.broker.Partition(codec.TopicPartition{Topic: demoTopic, Partition: n})
		if err != nil {
			return err
		}
		from, _, found, err := h.OffsetForTime(noon)
		if err != nil {
			return err
		}
		_, end, err := h.Bounds()
		if err != nil {
			return err
		}
		if !found {
			from = end
		}
		skipped += int64(from)
		err = follow(ctx, h, from, end, func(r *codec.Record) error {
			c, err := decodeChange(r)
			if c.at < noon {
				early++
			}
			seen[c.What]++
			return err
		})
		if err != nil {
			return fmt.Errorf("analyse: %w", err)
		}
	}
	if err := p.story.checkSince(noon, seen, early, skipped); err != nil {
		return err
	}
	p.tell("analyst", "came later, went back to %s, passed over %s and replayed %s in %v:", clock(noon), grouped(skipped), grouped(int64(len(p.story.changes))-skipped), roundly(time.Since(begun)))
	p.tell("", "    %s booked, %s changed, %s paid, %s cancelled", grouped(seen["booked"]), grouped(seen["changed"]), grouped(seen["paid"]), grouped(seen["cancelled"]))
	return nil
}
