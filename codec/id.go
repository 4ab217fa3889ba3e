package codec

import (
	"encoding/hex"
	"fmt"
)

// Offset is the position of a record in its partition, from 0. Ranges of
// offsets are half-open: [from, limit).
type Offset int64

// Index is the position of an entry in a raft log, from 1. One entry is one
// record batch, so an Index is not an Offset.
type Index uint64

// Term is raft's logical clock of leaderships.
type Term uint64

// Epoch is a Term on the record side: the partition leader epoch of Kafka's
// batch header, which has 32 bits and is never negative here.
type Epoch int32

// Millis is a moment in milliseconds since 1970-01-01 UTC.
type Millis int64

// ReplicaID names one replica of one group for ever; ids are never reused.
type ReplicaID uint64

// GroupID names one raft group. Group 1 is the cluster's metadata.
type GroupID uint64

// MetadataGroup is the group that holds topics and settings.
const MetadataGroup GroupID = 1

// NodeID is the name of a broker, stored with its data.
type NodeID string

// Topic is the name of a topic.
type Topic string

// Partition is the number of a partition within its topic, from 0.
type Partition int32

// TopicPartition names one ordered log.
type TopicPartition struct {
	Topic     Topic
	Partition Partition
}

// String is topic/partition, as people write it.
func (tp TopicPartition) String() string { return fmt.Sprintf("%s/%d", tp.Topic, tp.Partition) }

// UUID names a topic's incarnation or a cluster.
type UUID [16]byte

// String is the usual form with dashes.
func (u UUID) String() string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ParseUUID reads the form that String writes.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, fmt.Errorf("parse uuid %q: want 8-4-4-4-12 hexadecimal digits", s)
	}
	if _, err := hex.Decode(u[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err != nil {
		return u, fmt.Errorf("parse uuid %q: %w", s, err)
	}
	return u, nil
}

// EpochOf is the epoch of term; ok is false when it does not fit 31 bits.
func EpochOf(term Term) (epoch Epoch, ok bool) {
	return Epoch(term), term <= 1<<31-1
}

// topicNameMax is Kafka's limit on the length of a topic's name.
const topicNameMax = 249

// CheckTopicName says whether name may name a topic: 1 to 249 of
// [a-zA-Z0-9._-], and neither "." nor "..". The error is a *Error with code
// InvalidTopic.
func CheckTopicName(name Topic) error {
	if len(name) == 0 || len(name) > topicNameMax || name == "." || name == ".." {
		return Errorf(InvalidTopic, "topic name %q: want 1 to %d of a-z A-Z 0-9 . _ -, and not . or ..", clip(string(name)), topicNameMax)
	}
	for i := 0; i < len(name); i++ {
		if !topicByte(name[i]) {
			return Errorf(InvalidTopic, "topic name %q has %q: only a-z A-Z 0-9 . _ - are allowed", clip(string(name)), name[i])
		}
	}
	return nil
}

func topicByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '.' || b == '_' || b == '-'
}

// clip bounds what hostile input may put into a message.
func clip(s string) string {
	const max = 64
	if len(s) > max {
		return s[:max] + "…"
	}
	return s
}
