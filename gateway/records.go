package gateway

import (
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

const (
	// recordsCost is what an answer of decoded records takes, in frames: what
	// was read, a batch opened, the records, and the frame they go into.
	recordsCost = 4
	// valuesMax is how many values the records of an answer may be: what is
	// around them in the frame are fewer than the rest.
	valuesMax = codec.FrameElementsMax - 16
)

// valuesOf is how many values of msgpack a record is: an array, its five
// fields, and for each header an array of two.
func valuesOf(r *codec.Record) int { return 6 + 3*len(r.Headers) }

// decodeRecords are the records in batches from offset on: those that fit in
// about maxBytes and in the values of a frame, at least one. A batch that cannot
// be decoded, or becomes more than openMax bytes, is an error that names the
// offset behind it, once it is the first; so is a record of too many values.
func decodeRecords(batches []byte, from codec.Offset, maxBytes, openMax int) ([]codec.Record, error) {
	var out []codec.Record
	room, values := maxBytes, valuesMax
	for len(batches) > 0 && (len(out) == 0 || room > 0) {
		b, rest, err := codec.NextBatch(batches)
		if err != nil {
			return out, err
		}
		batches = rest
		section, err := openBatch(b, openMax)
		if err != nil {
			if len(out) > 0 {
				return out, nil
			}
			return nil, err
		}
		rs := b.Records(section)
		for rs.Next() {
			rec := *rs.Record()
			if rec.Offset < from {
				continue
			}
			room -= codec.RecordBytesMax(rec.Key, rec.Value, rec.Headers)
			values -= valuesOf(&rec)
			if len(out) > 0 && (room < 0 || values < 0) {
				return out, nil
			}
			if values < 0 {
				return nil, codec.Errorf(codec.RecordTooLarge, "the record at offset %d has %d headers, more than an answer may hold: go on at offset %d",
					rec.Offset, len(rec.Headers), rec.Offset+1)
			}
			rec.Headers = slices.Clone(rec.Headers)
			out = append(out, rec)
		}
	}
	return out, nil
}

// openBatch is the records of b, checked.
func openBatch(b codec.Batch, openMax int) ([]byte, error) {
	section, err := b.Open(openMax)
	if err == nil {
		err = b.CheckRecords(section)
	}
	if err != nil {
		return nil, codec.Errorf(codec.CorruptBatch, "the batch at offset %d cannot be decoded (%v): go on at offset %d",
			b.BaseOffset(), err, b.BaseOffset()+codec.Offset(b.Count()))
	}
	return section, nil
}
