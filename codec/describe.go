package codec

import "math"

// TopicDescription is all there is to say about a topic.
type TopicDescription struct {
	Topic      Topic
	ID         UUID // of this incarnation
	Settings   map[string]string
	Partitions []PartitionDescription // in order
}

// PartitionDescription is all there is to say about a partition. Leader is
// empty while there is none.
type PartitionDescription struct {
	Partition     Partition
	Leader        NodeID
	Replicas      []NodeID
	InSync        []NodeID
	Epoch         Epoch
	Start         Offset
	HighWatermark Offset
	Bytes         int64
}

func (d *TopicDescription) pack(p *packer) {
	p.mapping(4)
	p.keyText("topic", string(d.Topic))
	p.keyText("id", d.ID.String())
	p.settings(d.Settings)
	p.text("partitions")
	p.array(len(d.Partitions))
	for i := range d.Partitions {
		d.Partitions[i].pack(p)
	}
}

func (d *TopicDescription) unpack(u *unpacker) {
	u.mapping("topic description", func(key string) bool {
		switch key {
		case "topic":
			d.Topic = u.topic()
		case "id":
			d.ID = u.uuid("id")
		case "settings":
			d.Settings = u.settings()
		case "partitions":
			u.list("partitions", func() {
				var one PartitionDescription
				one.unpack(u)
				d.Partitions = append(d.Partitions, one)
			})
		default:
			return false
		}
		return true
	})
}

func (d *PartitionDescription) pack(p *packer) {
	p.mapping(8)
	p.keyInt("partition", int64(d.Partition))
	p.keyText("leader", string(d.Leader))
	p.text("replicas")
	p.nodes(d.Replicas)
	p.text("in_sync")
	p.nodes(d.InSync)
	p.keyInt("epoch", int64(d.Epoch))
	p.keyInt("start", int64(d.Start))
	p.keyInt("high_watermark", int64(d.HighWatermark))
	p.keyInt("bytes", d.Bytes)
}

func (d *PartitionDescription) unpack(u *unpacker) {
	u.mapping("partition description", func(key string) bool {
		switch key {
		case "partition":
			d.Partition = u.partition()
		case "leader":
			d.Leader = NodeID(u.text("leader", nameMax))
		case "replicas":
			d.Replicas = u.nodes("replicas")
		case "in_sync":
			d.InSync = u.nodes("in_sync")
		case "epoch":
			d.Epoch = Epoch(u.int("epoch", 0, math.MaxInt32))
		case "start":
			d.Start = u.offset("start")
		case "high_watermark":
			d.HighWatermark = u.offset("high_watermark")
		case "bytes":
			d.Bytes = u.int("bytes", 0, int64Max)
		default:
			return false
		}
		return true
	})
}

func (p *packer) nodes(list []NodeID) {
	p.array(len(list))
	for _, n := range list {
		p.text(string(n))
	}
}

func (u *unpacker) nodes(what string) []NodeID {
	var out []NodeID
	u.list(what, func() { out = append(out, NodeID(u.text(what, nameMax))) })
	return out
}
