package gateway

import (
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

const (
	// openMax bounds what one compressed batch may become.
	openMax = 4 * codec.FrameMax
	// recordsMax keeps an answer within the values that a frame may hold.
	recordsMax = codec.FrameElementsMax / 16
)

// decodeRecords are the records in batches from offset on: those that fit in
// about maxBytes, at least one. A batch that cannot be decoded is an error
// that names the offset behind it, once it is the first.
func decodeRecords(batches []byte, from codec.Offset, maxBytes int) ([]codec.Record, error) {
	var out []codec.Record
	room := maxBytes
	for len(batches) > 0 {
		b, rest, err := codec.NextBatch(batches)
		if err != nil {
			return out, err
		}
		batches = rest
		section, err := b.Open(openMax)
		if err == nil {
			err = b.CheckRecords(section)
		}
		if err != nil {
			if len(out) > 0 {
				return out, nil
			}
			return nil, codec.Errorf(codec.CorruptBatch, "the batch at offset %d cannot be decoded (%v): go on at offset %d",
				b.BaseOffset(), err, b.BaseOffset()+codec.Offset(b.Count()))
		}
		rs := b.Records(section)
		for rs.Next() {
			rec := *rs.Record()
			if rec.Offset < from {
				continue
			}
			room -= codec.RecordBytesMax(rec.Key, rec.Value, rec.Headers)
			if len(out) > 0 && (room < 0 || len(out) == recordsMax) {
				return out, nil
			}
			rec.Headers = slices.Clone(rec.Headers)
			out = append(out, rec)
		}
	}
	return out, nil
}
