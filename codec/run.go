package codec

import (
	"fmt"
	"math"
)

// Run is the descriptors of the batches of one entry, encoded, in order: each
// begins at the offset where the one before it ends, and is no older. There is
// at least one.
type Run []byte

// parseRun checks that p is a Run.
func parseRun(p []byte) (Run, error) {
	if len(p) == 0 || len(p)%DescriptorBytes != 0 {
		return nil, fmt.Errorf("parse descriptors: %d bytes, want some times %d", len(p), DescriptorBytes)
	}
	var before Descriptor
	bytes := int64(0)
	for i := 0; i < len(p); i += DescriptorBytes {
		d, err := ParseDescriptor(p[i : i+DescriptorBytes])
		if err != nil {
			return nil, err
		}
		if i > 0 && (d.BaseOffset != before.Limit() || d.AppendTime < before.AppendTime) {
			return nil, fmt.Errorf("parse descriptors: offset %d at time %d behind a batch that ends at offset %d and time %d",
				d.BaseOffset, d.AppendTime, before.Limit(), before.AppendTime)
		}
		if bytes += int64(d.Size); bytes > math.MaxInt32 {
			return nil, fmt.Errorf("parse descriptors: %d bytes of batches in one entry", bytes)
		}
		before = d
	}
	return p, nil
}

// Len is the number of batches.
func (r Run) Len() int { return len(r) / DescriptorBytes }

// At is the i-th descriptor.
func (r Run) At(i int) Descriptor {
	d, err := ParseDescriptor(r[i*DescriptorBytes : (i+1)*DescriptorBytes])
	if err != nil {
		panic("codec: a run that was parsed does not hold: " + err.Error())
	}
	return d
}

// Base is the offset of the first record.
func (r Run) Base() Offset { return r.At(0).BaseOffset }

// Limit is the offset behind the last record.
func (r Run) Limit() Offset { return r.At(r.Len() - 1).Limit() }

// AppendTime is that of the last batch.
func (r Run) AppendTime() Millis { return r.At(r.Len() - 1).AppendTime }

// Bytes is the size of all batches.
func (r Run) Bytes() (n int) {
	for i := range r.Len() {
		n += int(r.At(i).Size)
	}
	return n
}

// Matches says what is wrong with b as the batches of r, one behind the other,
// in epoch.
func (r Run) Matches(b []byte, epoch Epoch) error {
	for i := range r.Len() {
		d := r.At(i)
		size := min(int(d.Size), len(b))
		if err := d.Matches(Batch(b[:size]), epoch); err != nil {
			return err
		}
		b = b[size:]
	}
	if len(b) > 0 {
		return fmt.Errorf("%d bytes behind the last batch", len(b))
	}
	return nil
}
