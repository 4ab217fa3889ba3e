package client

import (
	"sync/atomic"

	"github.com/troupe-mq/troupe/codec"
)

// Partitioner chooses the partition of a record among n, [0, n), or says that
// any will do. It is called by all goroutines that produce, and must not wait.
type Partitioner func(r codec.Record, n int) codec.Partition

// AnyPartition leaves the choice to the producer, which stays with a partition
// for a batch and passes over those that refuse batches for now.
const AnyPartition codec.Partition = -1

// ByKey is Kafka's default: records with a key by its murmur2, others to any.
func ByKey(r codec.Record, n int) codec.Partition {
	if r.Key == nil {
		return AnyPartition
	}
	return codec.PartitionFor(r.Key, n)
}

// RoundRobin spreads records one by one, whatever their keys.
func RoundRobin() Partitioner {
	var next atomic.Uint32
	return func(_ codec.Record, n int) codec.Partition {
		return codec.Partition((next.Add(1) - 1) % uint32(n))
	}
}
