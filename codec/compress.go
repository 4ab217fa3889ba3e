package codec

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compression is how the records of a batch are compressed: the low three
// bits of its attributes.
type Compression int8

// The compressions of Kafka's record batch v2.
const (
	NoCompression Compression = 0
	Gzip          Compression = 1
	Snappy        Compression = 2 // xerial framing
	LZ4           Compression = 3 // frame format
	Zstd          Compression = 4
)

var compressionNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// String is the name people write: none, gzip, snappy, lz4 or zstd.
func (c Compression) String() string {
	if c < 0 || int(c) >= len(compressionNames) {
		return fmt.Sprintf("compression %d", int8(c))
	}
	return compressionNames[c]
}

// ParseCompression reads what String writes. The error is a *Error with code
// InvalidArgument that names what is allowed.
func ParseCompression(s string) (Compression, error) {
	for i, name := range compressionNames {
		if s == name {
			return Compression(i), nil
		}
	}
	return 0, Errorf(InvalidArgument, "compression %q: want none, gzip, snappy, lz4 or zstd", clip(s))
}

// Compression is how the batch's records are compressed.
func (b Batch) Compression() Compression { return Compression(b.Attributes() & attrCompression) }

// Limits on what compressed bytes may become: never more than ratioMax times
// their size, but outputFloor is always allowed.
const (
	ratioMax    = 1024
	outputFloor = 1 << 20
	// zstdWindowMax is what the format recommends every decoder to bear.
	zstdWindowMax = 8 << 20
)

// outputMax is how many bytes size compressed bytes may become.
func outputMax(size, maxBytes int) int {
	return min(maxBytes, max(outputFloor, size*ratioMax))
}

// Open is the uncompressed records section of b: a part of b itself, or at
// most maxBytes of new memory. The error is a *Error with code CorruptBatch.
func (b Batch) Open(maxBytes int) ([]byte, error) {
	section := b[BatchHeaderBytes:]
	if b.Compression() == NoCompression {
		return section, nil
	}
	return Decompress(b.Compression(), nil, section, maxBytes)
}

// Pools of what is dear to make. Nothing in them runs a goroutine.
var (
	gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
	gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}
	lz4Writers  = sync.Pool{New: func() any { return newLZ4Writer() }}
	lz4Readers  = sync.Pool{New: func() any { return lz4.NewReader(nil) }}
	zstdWriters = sync.Pool{New: func() any { return newZstdWriter() }}
	zstdReaders = sync.Pool{New: func() any { return newZstdReader() }}
)

func newLZ4Writer() *lz4.Writer {
	w := lz4.NewWriter(nil)
	if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ConcurrencyOption(1)); err != nil {
		panic("codec: lz4 options: " + err.Error())
	}
	return w
}

func newZstdWriter() *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		panic("codec: zstd options: " + err.Error())
	}
	return w
}

func newZstdReader() *zstd.Decoder {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(zstdWindowMax))
	if err != nil {
		panic("codec: zstd options: " + err.Error())
	}
	return r
}

// appender is memory as an io.Writer.
type appender struct{ buf []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.buf = append(a.buf, p...)
	return len(p), nil
}

// Compress appends src compressed to dst. Unknown compressions are a *Error
// with code InvalidArgument.
func Compress(c Compression, dst, src []byte) ([]byte, error) {
	out := appender{dst}
	switch c {
	case NoCompression:
		return append(dst, src...), nil
	case Gzip:
		w := gzipWriters.Get().(*gzip.Writer)
		defer gzipWriters.Put(w)
		w.Reset(&out)
		return finish(&out, w, src)
	case Snappy:
		return appendSnappy(dst, src), nil
	case LZ4:
		w := lz4Writers.Get().(*lz4.Writer)
		defer lz4Writers.Put(w)
		w.Reset(&out)
		return finish(&out, w, src)
	case Zstd:
		w := zstdWriters.Get().(*zstd.Encoder)
		defer zstdWriters.Put(w)
		return w.EncodeAll(src, dst), nil
	}
	return nil, Errorf(InvalidArgument, "compress: %v is not known", c)
}

func finish(out *appender, w io.WriteCloser, src []byte) ([]byte, error) {
	if _, err := w.Write(src); err != nil {
		return nil, fmt.Errorf("compress %d bytes: %w", len(src), err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress %d bytes: %w", len(src), err)
	}
	return out.buf, nil
}

// Decompress appends what src holds to dst, at most maxBytes of it, and never
// more than a bomb's measure of src. The error is a *Error with code
// CorruptBatch.
func Decompress(c Compression, dst, src []byte, maxBytes int) ([]byte, error) {
	limit := outputMax(len(src), maxBytes)
	switch c {
	case NoCompression:
		if len(src) > maxBytes {
			return nil, tooLong(c, len(src), maxBytes)
		}
		return append(dst, src...), nil
	case Gzip:
		r := gzipReaders.Get().(*gzip.Reader)
		defer gzipReaders.Put(r)
		if err := r.Reset(bytes.NewReader(src)); err != nil {
			return nil, Errorf(CorruptBatch, "decompress gzip: %v", err)
		}
		return drain(c, dst, r, len(src), limit)
	case Snappy:
		return decodeSnappy(dst, src, limit)
	case LZ4:
		r := lz4Readers.Get().(*lz4.Reader)
		defer lz4Readers.Put(r)
		r.Reset(bytes.NewReader(src))
		return drain(c, dst, r, len(src), limit)
	case Zstd:
		r := zstdReaders.Get().(*zstd.Decoder)
		defer zstdReaders.Put(r)
		// A reader without Bytes keeps the decoder from deciding the size itself.
		if err := r.Reset(bytes.NewReader(src)); err != nil {
			return nil, Errorf(CorruptBatch, "decompress zstd: %v", err)
		}
		return drain(c, dst, r, len(src), limit)
	}
	return nil, Errorf(CorruptBatch, "decompress: %v is not known", c)
}

// drain reads r to its end, growing dst as bytes come.
func drain(c Compression, dst []byte, r io.Reader, size, limit int) ([]byte, error) {
	start := len(dst)
	for {
		if len(dst) == cap(dst) {
			grown := make([]byte, len(dst), min(max(2*cap(dst), start+4*size, start+4096), start+limit+1))
			copy(grown, dst)
			dst = grown
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), start+limit+1)])
		dst = dst[:len(dst)+n]
		if len(dst)-start > limit {
			return nil, tooLong(c, size, limit)
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return nil, Errorf(CorruptBatch, "decompress %v: %v", c, err)
		}
	}
}

func tooLong(c Compression, size, limit int) error {
	return Errorf(CorruptBatch, "decompress %v: %d bytes become more than %d", c, size, limit)
}
