package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// removeWithin is how long the removal of a bench's own topic may take, after
// an interrupt too.
const removeWithin = 10 * time.Second

// prepare sees to the topic. remove takes the bench's own away.
func (v *bench) prepare(ctx context.Context) (remove func() error, err error) {
	none := func() error { return nil }
	if v.topic != "" {
		return none, v.use(ctx)
	}
	v.topic = fmt.Sprintf("bench-%08x", rand.Uint32())
	set := map[string]string{"durability": v.durability}
	if most := v.batchMost(); most > int(cluster.DefaultSettings().MessageBytesMax) {
		set["message.bytes.max"] = strconv.Itoa(most)
	}
	_, err = v.clients[0].CreateTopic(ctx, codec.CreateTopic{Topic: codec.Topic(v.topic), Partitions: v.partitions, Settings: set})
	if err != nil {
		return none, err
	}
	return func() error {
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeWithin)
		defer cancel()
		if err := v.clients[0].DeleteTopic(patience, codec.Topic(v.topic)); err != nil {
			return fmt.Errorf("the topic of the bench is still there, remove it with: troupe topic delete %s: %w", v.topic, err)
		}
		return nil
	}, nil
}

// use checks the topic that was named, and makes it when it is not there.
func (v *bench) use(ctx context.Context) error {
	d, err := v.clients[0].DescribeTopic(ctx, codec.Topic(v.topic))
	if errors.Is(err, codec.E(codec.UnknownTopic)) && v.what != "consume" {
		d, err = v.clients[0].CreateTopic(ctx, codec.CreateTopic{Topic: codec.Topic(v.topic), Partitions: v.partitions})
	}
	if err != nil {
		return err
	}
	if n := len(d.Partitions); n < int(v.partitions) {
		return fmt.Errorf("%s has %s, --partitions asks for %d: give it more with: troupe topic alter %s --partitions %d", v.topic, count(int64(n), "partition"), v.partitions, v.topic, v.partitions)
	}
	limit, err := messageBytesMax(d)
	if err == nil && v.what != "consume" && v.batchMost() > limit {
		return usagef("--batch-bytes %d: %s takes at most %d (message.bytes.max)", v.batchBytes, v.topic, limit)
	}
	return err
}

// batchMost is what a batch may have, at most.
func (v *bench) batchMost() int { return max(v.batchBytes, v.recordSize+recordRoom) }

// value is the value of a record, no two the same. More than half of it can
// be compressed away, as with text.
func (v *bench) value(chance *rand.Rand) []byte {
	p := make([]byte, 0, v.recordSize+32)
	for len(p) < v.recordSize {
		p = fmt.Appendf(p, "%016x bench ", chance.Uint64())
	}
	return p[:v.recordSize]
}

// batch makes a batch of as many records as fit, at most so many; 0 is no
// limit. It is sent over and over.
func (v *bench) batch(most int64) (codec.Batch, error) {
	var b codec.Builder
	chance := rand.New(rand.NewPCG(1, 2))
	value, now := v.value(chance), codec.Millis(time.Now().UnixMilli())
	for n := int64(0); n == 0 || b.Size()+codec.RecordBytesMax(nil, value, nil) <= v.batchBytes && (most == 0 || n < most); n++ {
		b.Append(now, nil, value, nil)
		value = v.value(chance)
	}
	p, err := b.Build(v.codec)
	return append(codec.Batch(nil), p...), err
}
