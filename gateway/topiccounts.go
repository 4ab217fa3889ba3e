package gateway

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/troupe-mq/troupe/codec"
)

// topicCounts are the counters of one topic.
type topicCounts struct {
	name                                                codec.Topic
	gone                                                atomic.Bool // it was deleted
	recordsIn, batchesIn, bytesIn, recordsOut, bytesOut atomic.Uint64
}

func (t *topicCounts) produced(records, bytes int) {
	t.batchesIn.Add(1)
	t.recordsIn.Add(uint64(records))
	t.bytesIn.Add(uint64(bytes))
}

func (t *topicCounts) fetched(records, bytes int) {
	t.recordsOut.Add(uint64(records))
	t.bytesOut.Add(uint64(bytes))
}

// topicsCounts are those of all topics. by is replaced, never changed, so
// that finding one takes no lock.
type topicsCounts struct {
	mu     sync.Mutex
	by     atomic.Pointer[map[codec.Topic]*topicCounts]
	exists func(codec.Topic) bool
	most   int // how many there may be before those of deleted topics go
}

// topicsPrune is how many topics are counted, at least, before deleted ones
// are looked for.
const topicsPrune = 1024

// topic finds the counters of a topic that exists: last, if they are its own still.
func (c *counts) topic(last *topicCounts, name codec.Topic) *topicCounts {
	if last != nil && last.name == name && !last.gone.Load() {
		return last
	}
	if by := c.topics.by.Load(); by != nil && (*by)[name] != nil {
		return (*by)[name]
	}
	return c.topics.add(name)
}

func (t *topicsCounts) add(name codec.Topic) *topicCounts {
	t.mu.Lock()
	defer t.mu.Unlock()
	by := map[codec.Topic]*topicCounts{}
	if old := t.by.Load(); old != nil {
		if one := (*old)[name]; one != nil {
			return one
		}
		by = maps.Clone(*old)
	}
	if len(by) >= max(t.most, topicsPrune) {
		maps.DeleteFunc(by, t.ended)
		t.most = 2 * len(by)
	}
	one := &topicCounts{name: name}
	by[name] = one
	t.by.Store(&by)
	return one
}

// retain forgets topics that do not exist any more.
func (t *topicsCounts) retain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.by.Load()
	if old == nil {
		return
	}
	by := maps.Clone(*old)
	maps.DeleteFunc(by, t.ended)
	t.by.Store(&by)
}

// ended says whether a topic does not exist any more; whoever still has its
// counters looks for new ones.
func (t *topicsCounts) ended(name codec.Topic, one *topicCounts) bool {
	if !t.exists(name) {
		one.gone.Store(true)
	}
	return one.gone.Load()
}

func (c *counts) readTopics() map[codec.Topic]TopicStats {
	c.topics.retain()
	out := map[codec.Topic]TopicStats{}
	if by := c.topics.by.Load(); by != nil {
		for name, t := range *by {
			out[name] = TopicStats{RecordsIn: t.recordsIn.Load(), BatchesIn: t.batchesIn.Load(), BytesIn: t.bytesIn.Load(),
				RecordsOut: t.recordsOut.Load(), BytesOut: t.bytesOut.Load()}
		}
	}
	return out
}
