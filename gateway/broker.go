package gateway

import (
	"context"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Broker is what the gateway needs of a broker. Its errors are *codec.Error
// where a client is to be told; any other is told as INTERNAL. Replies come
// exactly once, from any goroutine.
type Broker interface {
	// Identity is who this broker is; it does not change.
	Identity() Identity
	// Partition looks a partition up in a published table, without waiting.
	Partition(codec.TopicPartition) (Partition, error)
	// Nodes are the brokers of the cluster that say where clients reach them.
	Nodes() []codec.MetadataNode
	// Topics describes all topics, in order of name.
	Topics() []codec.TopicDescription
	// Topic describes one.
	Topic(codec.Topic) (codec.TopicDescription, error)

	CreateTopic(req codec.CreateTopic, reply func(codec.TopicDescription, error))
	AlterTopic(req codec.AlterTopic, reply func(codec.TopicDescription, error))
	DeleteTopic(req codec.DeleteTopic, reply func(error))
	// NewProducer replies with an id that no idempotent producer ever had.
	NewProducer(reply func(id int64, err error))
	// ChangeReplicas replies when it is decided on which brokers, the first of
	// them to lead, the replicas of a partition are to be.
	ChangeReplicas(tp codec.TopicPartition, nodes []codec.NodeID, reply func(error))
	// Transfer asks the leader of a partition to hand leadership over.
	Transfer(tp codec.TopicPartition, to codec.NodeID) error
	// Trim replies with the start of the log after it.
	Trim(tp codec.TopicPartition, before codec.Offset, reply func(codec.Offset, error))
}

// Partition is what the gateway needs of one partition's log.
type Partition interface {
	// Produce takes byte credit (it may wait for it until ctx ends), then hands
	// the verified batch over. The batch belongs to the callee until reply is
	// called; reply is called exactly once, from any goroutine, and does not
	// wait. The batch's memory is used again only when reply's error is nil. An
	// error returned by Produce itself means that reply will not be called and
	// nothing was stored.
	Produce(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error
	// MaxMessageBytes is the topic's message.bytes.max.
	MaxMessageBytes() int
	// Read appends whole verified batches to dst, from the one that holds offset
	// on: at most maxBytes unless the first alone is larger, and never above the
	// high watermark.
	Read(dst []byte, offset codec.Offset, maxBytes int) ([]byte, error)
	// Bounds are the offset of the first record and that of the record to come;
	// the error says why nothing can be read.
	Bounds() (start, highWatermark codec.Offset, err error)
	// Await calls done once: when the high watermark passes offset, or after
	// wait. cancel forgets it (done may still come).
	Await(offset codec.Offset, wait time.Duration, done func()) (cancel func())
	// OffsetForTime is the earliest offset whose record has a timestamp at or
	// after t.
	OffsetForTime(t codec.Millis) (offset codec.Offset, found bool, err error)
}

// Distant is a Partition that may be led by another broker.
type Distant interface {
	Partition
	// Elsewhere is where a client is to go that finds leaders itself: an error of code
	// NOT_LEADER that names the leader; nil when it is led here.
	Elsewhere() error
	// Afar says that Bounds and Read ask another broker, and wait for it.
	Afar() bool
	// Ends are Bounds as the leader has them; they may wait for it.
	Ends() (start, highWatermark codec.Offset, err error)
	// Cut is why nothing new can come to the end that is known here; nil when it can.
	Cut() error
}

// Identity is who a broker is.
type Identity struct {
	Cluster codec.UUID
	Node    codec.NodeID
	Version string
	Address string // where clients reach it; empty = where they did
}
