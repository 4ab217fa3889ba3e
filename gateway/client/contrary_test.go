package client

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

// contrary is a partition that refuses an offset which it says it holds, as
// two replicas may that do not know the same.
type contrary struct {
	*log
	reads atomic.Int32
}

func (c *contrary) Read([]byte, codec.Offset, int) ([]byte, error) {
	c.reads.Add(1)
	return nil, codec.Errorf(codec.OffsetOutOfRange, "as planned")
}

type contraryBroker struct {
	*memory
	contrary *contrary
}

func (b contraryBroker) Partition(codec.TopicPartition) (gateway.Partition, error) {
	return b.contrary, nil
}

// A consumer asks such a partition again after pauses.
func TestAServerThatContradictsItselfIsNotHammered(t *testing.T) {
	m := newMemory("t", 1)
	l := m.topics["t"][0]
	l.store(t, codec.NoCompression, 5)
	c := &contrary{log: l}
	addr, _ := serve(t, contraryBroker{m, c}, "127.0.0.1:0")
	began := time.Now()
	consume(t, dial(t, Options{}, addr), ConsumerOptions{From: FromOffset(2)})
	for c.reads.Load() < 20 {
		runtime.Gosched()
	}
	require.Greater(t, time.Since(began), 19*10*time.Millisecond, "a pause is 10 ms at least")
}
