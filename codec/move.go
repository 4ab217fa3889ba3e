package codec

// ChangeReplicas says on which brokers the replicas of a partition are to be, the
// first of them to lead. The answer is Empty, and means that this is decided; that
// the log is copied and the others are gone is seen in DESCRIBE_TOPIC.
type ChangeReplicas struct {
	TopicPartition
	Nodes []NodeID
}

// Op is OpChangeReplicas.
func (*ChangeReplicas) Op() Op { return OpChangeReplicas }

func (c *ChangeReplicas) pack(p *packer) {
	p.mapping(3)
	p.keyText("topic", string(c.Topic))
	p.keyInt("partition", int64(c.Partition))
	p.text("nodes")
	p.nodes(c.Nodes)
}

func (c *ChangeReplicas) unpack(u *unpacker) {
	u.mapping("CHANGE_REPLICAS", func(key string) bool {
		switch key {
		case "topic":
			c.Topic = u.topic()
		case "partition":
			c.Partition = u.partition()
		case "nodes":
			c.Nodes = u.nodes("nodes")
		default:
			return false
		}
		return true
	})
}

// Transfer asks the leader of a partition to hand leadership to the replica on
// another broker. The answer is Empty, and means that it was asked to; METADATA
// says who leads then.
type Transfer struct {
	TopicPartition
	To NodeID
}

// Op is OpTransfer.
func (*Transfer) Op() Op { return OpTransfer }

func (t *Transfer) pack(p *packer) {
	p.mapping(3)
	p.keyText("topic", string(t.Topic))
	p.keyInt("partition", int64(t.Partition))
	p.keyText("to", string(t.To))
}

func (t *Transfer) unpack(u *unpacker) {
	u.mapping("TRANSFER", func(key string) bool {
		switch key {
		case "topic":
			t.Topic = u.topic()
		case "partition":
			t.Partition = u.partition()
		case "to":
			t.To = NodeID(u.text("to", nameMax))
		default:
			return false
		}
		return true
	})
}
