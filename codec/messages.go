package codec

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// What actors send to the PID of a partition, and what it answers its sender. They are
// the same in the process of a broker and in that of a service. Tag comes back in the
// answer, as the sender chose it; Err says why what was asked for was not done, and all
// else is zero then. What was sent is not touched again.
type (
	// Store has a batch stored; it is answered by *Stored. Nobody writes to the batch from
	// then on, so it may be sent again, behind Unknown for instance: that of an idempotent
	// producer (Batch.SetProducer) is stored once.
	Store struct {
		Tag   uint64
		Batch Batch
	}
	// Stored says where the batch is. Of code Unknown: it may or may not be stored. Of any
	// other: it is not.
	Stored struct {
		Tag uint64
		Produced
		Err error
	}

	// Read asks for the batches from the one that holds Offset on, Bytes of them at most;
	// 0 is 1 MiB, above 4 MiB is 4 MiB. It is answered by *Batches.
	Read struct {
		Tag    uint64
		Offset Offset
		Bytes  int
	}
	// Batches are whole and verified; none at the high watermark, as the replica that reads
	// has it. They are the receiver's.
	// Of code RecordTooLarge: the first alone is larger than what was asked for.
	Batches struct {
		Tag     uint64
		Batches []byte
		Err     error
	}

	// Await is answered by *Bounds: when the high watermark is above Offset, or when Within
	// has passed, 60 s at most. It may be earlier: then one looks, and waits again.
	Await struct {
		Tag    uint64
		Offset Offset
		Within time.Duration
	}
	// AskBounds is answered by *Bounds, as whoever leads has them.
	AskBounds struct{ Tag uint64 }
	// Bounds are the first offset that can be read, and the one behind the last.
	Bounds struct {
		Tag                  uint64
		Start, HighWatermark Offset
		Err                  error
	}

	// AskTime asks for the earliest offset whose timestamp is at or after At; it is
	// answered by *Time.
	AskTime struct {
		Tag uint64
		At  Millis
	}
	// Time is an offset, if one was found.
	Time struct {
		Tag    uint64
		Offset Offset
		Found  bool
		Err    error
	}

	// AskTopic asks about the partition's topic; it is answered by *TopicFacts.
	AskTopic struct{ Tag uint64 }
	// TopicFacts are how many partitions a topic has, and the largest batch that it takes.
	TopicFacts struct {
		Tag             uint64
		Partitions      int
		MessageBytesMax int
		Err             error
	}

	// AskProducer asks for an id that no idempotent producer ever had (Batch.SetProducer);
	// it is answered by *ProducerID.
	AskProducer struct{ Tag uint64 }
	// ProducerID is that id.
	ProducerID struct {
		Tag uint64
		ID  int64
		Err error
	}
)

const (
	readBytes = 1 << 20
	// AwaitMax is the longest that a partition is waited for.
	AwaitMax = time.Minute
)

// CallOf is what a message to a partition asks for; nil when it is no such message.
func CallOf(message any) *Call {
	switch m := message.(type) {
	case *Store:
		return &Call{Kind: CallProduce, Batch: m.Batch}
	case *Read:
		bytes := m.Bytes
		if bytes <= 0 {
			bytes = readBytes
		}
		return &Call{Kind: CallRead, At: int64(m.Offset), Bytes: uint32(min(bytes, CallBatchMax))}
	case *Await:
		return &Call{Kind: CallAwait, At: int64(m.Offset), Within: uint32(min(max(0, m.Within), AwaitMax).Milliseconds())}
	case *AskBounds:
		return &Call{Kind: CallBounds}
	case *AskTime:
		return &Call{Kind: CallTime, At: int64(m.At)}
	case *AskTopic:
		return &Call{Kind: CallTopic}
	case *AskProducer:
		return &Call{Kind: CallProducer}
	}
	return nil
}

// AnswerTo is what the sender of a message gets for a reply to its call.
func AnswerTo(message any, r *Reply) any {
	err := r.Err()
	if err != nil {
		r = &Reply{}
	}
	switch m := message.(type) {
	case *Store:
		return &Stored{m.Tag, Produced{r.Offset, r.AppendTime}, err}
	case *Read:
		return &Batches{m.Tag, r.Batches, err}
	case *Await:
		return &Bounds{m.Tag, r.Start, r.HighWatermark, err}
	case *AskBounds:
		return &Bounds{m.Tag, r.Start, r.HighWatermark, err}
	case *AskTime:
		return &Time{m.Tag, r.Offset, r.Found, err}
	case *AskTopic:
		return &TopicFacts{m.Tag, int(r.Partitions), int(r.BytesMax), err}
	case *AskProducer:
		return &ProducerID{m.Tag, int64(r.Offset), err}
	}
	return nil
}

// PIDAddress is the address that the PIDs of a cluster's partitions have, in every
// actor system that reaches it; their id is topic/partition.
func PIDAddress(cluster UUID) string { return "troupe:" + cluster.String() }

// PartitionOfID is the partition that the id of a PID names; false when it names none.
func PartitionOfID(id string) (TopicPartition, bool) {
	topic, number, _ := strings.Cut(id, "/")
	n, err := strconv.ParseUint(number, 10, 31)
	tp := TopicPartition{Topic(topic), Partition(n)}
	return tp, err == nil && n <= math.MaxInt32 && tp.String() == id && CheckTopicName(tp.Topic) == nil
}
