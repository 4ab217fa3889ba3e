package codec

// attrKnown are the attribute bits that a client may set: compression only.
const attrKnown = attrCompression

// Verify checks b as it comes from a client, whole and once: CheckHead, the
// size, the attributes, that there is no producer id, and when the records are
// uncompressed each of them. Compressed records are not opened. maxBytes is the topic's
// message.bytes.max; 0 means no limit here. The error is a *Error:
// CorruptBatch, RecordTooLarge (with value and limit) or InvalidArgument.
func (b Batch) Verify(maxBytes int) error {
	if maxBytes > 0 && len(b) > maxBytes {
		return Errorf(RecordTooLarge, "batch of %d bytes: message.bytes.max is %d", len(b), maxBytes)
	}
	if err := b.CheckHead(); err != nil {
		return err
	}
	if err := b.checkAttributes(); err != nil {
		return err
	}
	if err := b.checkProducer(); err != nil {
		return err
	}
	if b.Compression() != NoCompression {
		return nil
	}
	return b.CheckRecords(b[BatchHeaderBytes:])
}

// checkProducer says whether the batch names a producer as a whole, or none.
func (b Batch) checkProducer() error {
	switch id, epoch, first := b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(); {
	case id == -1 && epoch == -1 && first == -1:
	case id >= 0 && epoch >= 0 && first >= 0:
	default:
		return Errorf(InvalidArgument, "batch has producer id %d, epoch %d and sequence %d: want all of them from 0 on, or -1 for none", id, epoch, first)
	}
	return nil
}

// CheckRecords walks section, the uncompressed records of b: the error is a
// *Error with code CorruptBatch.
func (b Batch) CheckRecords(section []byte) error {
	if most := len(section) / recordBytesMin; int(b.Count()) > most {
		return Errorf(CorruptBatch, "batch says %d records, its %d bytes hold %d at most", b.Count(), len(section), most)
	}
	rs := b.Records(section)
	for rs.Next() {
	}
	if err := rs.Err(); err != nil {
		return err
	}
	if rs.latest != b.MaxTimestamp() {
		return Errorf(CorruptBatch, "batch says its latest timestamp is %d, its records say %d", b.MaxTimestamp(), rs.latest)
	}
	return nil
}

func (b Batch) checkAttributes() error {
	a := b.Attributes()
	switch {
	case b.Compression() > Zstd:
		return Errorf(CorruptBatch, "batch has compression %d: 0 none, 1 gzip, 2 snappy, 3 lz4 and 4 zstd are known", b.Compression())
	case a&attrControl != 0:
		return Errorf(InvalidArgument, "batch has the control bit set: only the broker writes control batches")
	case a&attrTransactional != 0:
		return Errorf(InvalidArgument, "batch has the transactional bit set: transactions are not supported yet")
	case a&attrLogAppendTime != 0:
		return Errorf(InvalidArgument, "batch has timestamp type log append time: a client sends create time")
	case a&^attrKnown != 0:
		return Errorf(InvalidArgument, "batch has attributes %#04x: only the compression bits %#04x are allowed", uint16(a), attrKnown)
	}
	return nil
}
