package codec

import "math"

// FetchMode is what an answer to Fetch carries.
type FetchMode uint8

// The modes.
const (
	FetchBatches FetchMode = 0 // whole record batches as they are stored
	FetchRecords FetchMode = 1 // decoded records, for simple clients
)

// Fetch reads a partition from Offset on. At the tail it waits until there
// are MinBytes or MaxWait has passed, whichever comes first. The answer is
// Fetched.
type Fetch struct {
	TopicPartition
	Offset   Offset
	MaxBytes int // of the answer; the first batch comes even when it is larger
	MaxWait  Millis
	MinBytes int // 0 and 1 = anything
	Mode     FetchMode
}

// Op is OpFetch.
func (*Fetch) Op() Op { return OpFetch }

func (f *Fetch) pack(p *packer) {
	p.array(7)
	p.text(string(f.Topic))
	p.int(int64(f.Partition))
	p.int(int64(f.Offset))
	p.int(int64(f.MaxBytes))
	p.int(int64(f.MaxWait))
	p.int(int64(f.MinBytes))
	p.int(int64(f.Mode))
}

func (f *Fetch) unpack(u *unpacker) {
	n := u.array("FETCH", 5)
	f.Topic, f.Partition = u.topicAgain(f.Topic), u.partition()
	f.MinBytes, f.Mode = 0, FetchBatches
	f.Offset = u.offset("offset")
	f.MaxBytes = int(u.int("max bytes", 1, math.MaxInt32))
	f.MaxWait = Millis(u.int("max wait", 0, math.MaxInt32))
	if n > 5 {
		f.MinBytes = int(u.int("min bytes", 0, math.MaxInt32))
	}
	if n > 6 {
		f.Mode = FetchMode(u.int("mode", int64(FetchBatches), int64(FetchRecords)))
	}
}

// Fetched answers Fetch. Batches is one or more whole batches, of which the
// first may begin before the offset that was asked for; it is empty when there
// is nothing yet. In mode FetchRecords it is Records instead.
type Fetched struct {
	Start         Offset
	HighWatermark Offset
	Batches       []byte
	Records       []Record
	Mode          FetchMode // which of the two; not on the wire
	// RecordsBytes is what Records take of a subscription's credit; 0 in an
	// answer to Fetch.
	RecordsBytes int
}

// Bytes is what a push of a subscription takes of its credit: to be granted
// again, by Credit, when its records were processed.
func (a *Fetched) Bytes() int { return len(a.Batches) + a.RecordsBytes }

func (a *Fetched) pack(p *packer) {
	priced := a.Mode == FetchRecords && a.RecordsBytes > 0
	if priced {
		p.array(4)
	} else {
		p.array(3)
	}
	p.int(int64(a.Start))
	p.int(int64(a.HighWatermark))
	if a.Mode == FetchBatches {
		p.last(a.Batches)
		return
	}
	p.array(len(a.Records))
	for i := range a.Records {
		p.array(5)
		p.int(int64(a.Records[i].Offset))
		p.record(&a.Records[i])
	}
	if priced {
		p.int(int64(a.RecordsBytes))
	}
}

func (a *Fetched) unpack(u *unpacker) {
	n := u.array("answer to FETCH", 3)
	a.Start, a.HighWatermark = u.offset("start"), u.offset("high watermark")
	if u.nextIsBytes() {
		a.Batches = u.bytes("batches")
		return
	}
	a.Mode = FetchRecords
	u.list("records", func() {
		fields := u.array("record", 4)
		offset := u.offset("offset")
		r := u.record(fields-1, -int64Max)
		r.Offset = offset
		a.Records = append(a.Records, r)
	})
	if n > 3 && !u.null() {
		a.RecordsBytes = int(u.int("bytes of records", 0, math.MaxInt32))
	}
}

// NextBatch splits the first batch off p, which is a part of what a fetch
// answered or a segment holds. A batch that is cut off or whose length is
// impossible is a *Error with code CorruptBatch. The CRC is not checked.
func NextBatch(p []byte) (b Batch, rest []byte, err error) {
	if len(p) < BatchHeaderBytes {
		return nil, nil, Errorf(CorruptBatch, "%d bytes where a batch should begin: the header alone has %d", len(p), BatchHeaderBytes)
	}
	size := Batch(p).Size()
	if size < BatchHeaderBytes || size > len(p) {
		return nil, nil, Errorf(CorruptBatch, "batch says %d bytes, %d are there", size, len(p))
	}
	return Batch(p[:size:size]), p[size:], nil
}
