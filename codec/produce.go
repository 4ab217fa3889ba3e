package codec

// NoTimestamp as a record's timestamp asks the broker to set the time it came.
const NoTimestamp Millis = -1

// Produce appends records to a partition: one ready batch, or Records that
// the broker makes a batch of. The answer is Produced, and means committed
// and as durable as the topic says.
type Produce struct {
	TopicPartition
	Batch       Batch       // when not nil, Records are not looked at
	Records     []Record    // offsets are not sent
	Compression Compression // of the batch that is made of Records
}

// Reset empties r so that another message can be decoded into it. Its topic
// stays, for the next one's is often the same, and then costs no memory.
func (r *Produce) Reset() {
	clear(r.Records)
	*r = Produce{TopicPartition: TopicPartition{Topic: r.Topic}, Records: r.Records[:0]}
}

// Op is OpProduce.
func (*Produce) Op() Op { return OpProduce }

func (r *Produce) pack(p *packer) {
	if r.Batch != nil {
		p.array(3)
		p.text(string(r.Topic))
		p.int(int64(r.Partition))
		p.last(r.Batch)
		return
	}
	p.array(4)
	p.text(string(r.Topic))
	p.int(int64(r.Partition))
	p.array(len(r.Records))
	for i := range r.Records {
		p.array(4)
		p.record(&r.Records[i])
	}
	p.int(int64(r.Compression))
}

func (r *Produce) unpack(u *unpacker) {
	n := u.array("PRODUCE", 3)
	r.Topic, r.Partition = u.topicAgain(r.Topic), u.partition()
	if u.nextIsBytes() {
		r.Batch = Batch(u.bytes("batch"))
		return
	}
	u.list("records", func() {
		fields := u.array("record", 3)
		r.Records = append(r.Records, u.record(fields, int64(NoTimestamp)))
	})
	if n > 3 && !u.null() {
		r.Compression = Compression(u.int("compression", int64(NoCompression), int64(Zstd)))
	}
}

// record writes timestamp, key, value, headers.
func (p *packer) record(r *Record) {
	if r.Timestamp == NoTimestamp {
		p.null()
	} else {
		p.int(int64(r.Timestamp))
	}
	p.bytes(r.Key)
	p.bytes(r.Value)
	p.headers(r.Headers)
}

// record reads the fields that the packer wrote; the headers may be missing.
func (u *unpacker) record(fields int, earliest int64) (r Record) {
	r.Timestamp = NoTimestamp
	if !u.null() {
		r.Timestamp = Millis(u.int("timestamp", earliest, int64Max))
	}
	r.Key, r.Value = u.bytes("key"), u.bytes("value")
	if fields > 3 && !u.null() {
		r.Headers = u.headers()
	}
	u.skip(fields - 4)
	return r
}

// Produced answers Produce.
type Produced struct {
	Base       Offset // of the first record
	AppendTime Millis // the leader's clock
}

func (a *Produced) pack(p *packer) {
	p.array(2)
	p.int(int64(a.Base))
	p.int(int64(a.AppendTime))
}

func (a *Produced) unpack(u *unpacker) {
	u.array("answer to PRODUCE", 2)
	a.Base = u.offset("base offset")
	a.AppendTime = Millis(u.int("append time", -int64Max, int64Max))
}
