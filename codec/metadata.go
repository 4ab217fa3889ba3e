package codec

import "math"

// MetadataQuery asks for Metadata of the topics named, of all when none is.
type MetadataQuery struct{ Topics []Topic }

// Op is OpMetadata.
func (*MetadataQuery) Op() Op { return OpMetadata }

func (q *MetadataQuery) pack(p *packer) {
	p.mapping(1)
	p.text("topics")
	p.array(len(q.Topics))
	for _, t := range q.Topics {
		p.text(string(t))
	}
}

func (q *MetadataQuery) unpack(u *unpacker) {
	u.mapping("METADATA", func(key string) bool {
		if key == "topics" && !u.null() {
			u.list("topics", func() { q.Topics = append(q.Topics, u.topic()) })
			return true
		}
		return key == "topics"
	})
}

// Metadata is what a client needs to find partitions.
type Metadata struct {
	Cluster UUID
	Node    NodeID // the one that answers
	Nodes   []MetadataNode
	Topics  []MetadataTopic
}

// MetadataNode is a broker and where clients reach it.
type MetadataNode struct {
	Node    NodeID
	Address string
}

// MetadataTopic is a topic, or why there is none of that name.
type MetadataTopic struct {
	Topic      Topic
	Code       Code // OK, or why the rest is empty
	ID         UUID
	Partitions []MetadataPartition // in order
}

// MetadataPartition is who leads a partition: empty while nobody does.
type MetadataPartition struct {
	Partition Partition
	Leader    NodeID
	Epoch     Epoch
}

func (m *Metadata) pack(p *packer) {
	p.mapping(4)
	p.keyText("cluster", m.Cluster.String())
	p.keyText("node", string(m.Node))
	p.text("nodes")
	p.array(len(m.Nodes))
	for _, n := range m.Nodes {
		p.mapping(2)
		p.keyText("node", string(n.Node))
		p.keyText("address", n.Address)
	}
	p.text("topics")
	p.array(len(m.Topics))
	for i := range m.Topics {
		m.Topics[i].pack(p)
	}
}

func (t *MetadataTopic) pack(p *packer) {
	p.mapping(4)
	p.keyText("topic", string(t.Topic))
	p.keyInt("code", int64(t.Code))
	p.keyText("id", t.ID.String())
	p.text("partitions")
	p.array(len(t.Partitions))
	for _, one := range t.Partitions {
		p.mapping(3)
		p.keyInt("partition", int64(one.Partition))
		p.keyText("leader", string(one.Leader))
		p.keyInt("epoch", int64(one.Epoch))
	}
}

func (m *Metadata) unpack(u *unpacker) {
	u.mapping("metadata", func(key string) bool {
		switch key {
		case "cluster":
			m.Cluster = u.uuid("cluster")
		case "node":
			m.Node = NodeID(u.text("node", nameMax))
		case "nodes":
			u.list("nodes", func() { m.Nodes = append(m.Nodes, u.metadataNode()) })
		case "topics":
			u.list("topics", func() { m.Topics = append(m.Topics, u.metadataTopic()) })
		default:
			return false
		}
		return true
	})
}

func (u *unpacker) metadataNode() (n MetadataNode) {
	u.mapping("node", func(key string) bool {
		switch key {
		case "node":
			n.Node = NodeID(u.text("node", nameMax))
		case "address":
			n.Address = u.text("address", nameMax)
		default:
			return false
		}
		return true
	})
	return n
}

func (u *unpacker) metadataTopic() (t MetadataTopic) {
	u.mapping("topic", func(key string) bool {
		switch key {
		case "topic":
			t.Topic = u.topic()
		case "code":
			t.Code = Code(u.int("code", 0, math.MaxUint16))
		case "id":
			t.ID = u.uuid("id")
		case "partitions":
			u.list("partitions", func() { t.Partitions = append(t.Partitions, u.metadataPartition()) })
		default:
			return false
		}
		return true
	})
	return t
}

func (u *unpacker) metadataPartition() (m MetadataPartition) {
	u.mapping("partition", func(key string) bool {
		switch key {
		case "partition":
			m.Partition = u.partition()
		case "leader":
			m.Leader = NodeID(u.text("leader", nameMax))
		case "epoch":
			m.Epoch = Epoch(u.int("epoch", 0, math.MaxInt32))
		default:
			return false
		}
		return true
	})
	return m
}
