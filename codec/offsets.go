package codec

// OffsetsQuery asks for the bounds of a partition, and for the offset that
// belongs to a time when HasTime is set. The answer is Offsets.
type OffsetsQuery struct {
	TopicPartition
	Time    Millis
	HasTime bool
}

// Op is OpOffsets.
func (*OffsetsQuery) Op() Op { return OpOffsets }

func (q *OffsetsQuery) pack(p *packer) {
	n := 2
	if q.HasTime {
		n++
	}
	p.mapping(n)
	p.keyText("topic", string(q.Topic))
	p.keyInt("partition", int64(q.Partition))
	if q.HasTime {
		p.keyInt("time", int64(q.Time))
	}
}

func (q *OffsetsQuery) unpack(u *unpacker) {
	u.mapping("OFFSETS", func(key string) bool {
		switch key {
		case "topic":
			q.Topic = u.topic()
		case "partition":
			q.Partition = u.partition()
		case "time":
			if !u.null() {
				q.Time, q.HasTime = Millis(u.int("time", -int64Max, int64Max)), true
			}
		default:
			return false
		}
		return true
	})
}

// Offsets answers OffsetsQuery.
type Offsets struct {
	Oldest Offset // of the first record that is still there
	Newest Offset // of the record to come: the high watermark
	AtTime Offset // earliest with a timestamp at or after the time; Newest when there is none
	Found  bool   // whether there is one
}

func (o *Offsets) pack(p *packer) {
	p.mapping(4)
	p.keyInt("oldest", int64(o.Oldest))
	p.keyInt("newest", int64(o.Newest))
	p.keyInt("at_time", int64(o.AtTime))
	p.text("found")
	p.bool(o.Found)
}

func (o *Offsets) unpack(u *unpacker) {
	u.mapping("answer to OFFSETS", func(key string) bool {
		switch key {
		case "oldest":
			o.Oldest = u.offset("oldest")
		case "newest":
			o.Newest = u.offset("newest")
		case "at_time":
			o.AtTime = u.offset("at_time")
		case "found":
			o.Found = u.bool("found")
		default:
			return false
		}
		return true
	})
}

// Trim moves the start of a partition to Before: what lies below is gone. The
// answer is Trimmed.
type Trim struct {
	TopicPartition
	Before Offset
}

// Op is OpTrim.
func (*Trim) Op() Op { return OpTrim }

func (t *Trim) pack(p *packer) {
	p.mapping(3)
	p.keyText("topic", string(t.Topic))
	p.keyInt("partition", int64(t.Partition))
	p.keyInt("before", int64(t.Before))
}

func (t *Trim) unpack(u *unpacker) {
	u.mapping("TRIM", func(key string) bool {
		switch key {
		case "topic":
			t.Topic = u.topic()
		case "partition":
			t.Partition = u.partition()
		case "before":
			t.Before = u.offset("before")
		default:
			return false
		}
		return true
	})
}

// Trimmed answers Trim.
type Trimmed struct{ Start Offset }

func (t *Trimmed) pack(p *packer) {
	p.mapping(1)
	p.keyInt("start", int64(t.Start))
}

func (t *Trimmed) unpack(u *unpacker) {
	u.mapping("answer to TRIM", func(key string) bool {
		if key == "start" {
			t.Start = u.offset("start")
		}
		return key == "start"
	})
}
