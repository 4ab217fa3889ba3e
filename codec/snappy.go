package codec

import (
	"bytes"
	"encoding/binary"

	"github.com/klauspost/compress/s2"
)

// Java's snappy streams ("xerial") are what Kafka calls snappy: this head,
// two versions, then chunks of u32 big-endian length and one snappy block.
// Source: https://github.com/xerial/snappy-java, SnappyOutputStream.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const (
	xerialHeadBytes  = 16
	xerialChunkBytes = 32 << 10
)

// appendSnappy appends src as a xerial stream to dst.
func appendSnappy(dst, src []byte) []byte {
	be := binary.BigEndian
	dst = append(dst, xerialMagic...)
	dst = be.AppendUint32(be.AppendUint32(dst, 1), 1)
	for len(src) > 0 {
		chunk := src[:min(len(src), xerialChunkBytes)]
		src = src[len(chunk):]
		at := len(dst)
		dst = append(dst, make([]byte, 4+s2.MaxEncodedLen(len(chunk)))...)
		block := s2.EncodeSnappy(dst[at+4:], chunk)
		be.PutUint32(dst[at:], uint32(len(block)))
		dst = dst[:at+4+len(block)]
	}
	return dst
}

// decodeSnappy reads a xerial stream or one raw snappy block, which some
// clients send.
func decodeSnappy(dst, src []byte, limit int) ([]byte, error) {
	if len(src) < xerialHeadBytes || !bytes.HasPrefix(src, xerialMagic) {
		return decodeSnappyBlock(dst, src, len(src), limit)
	}
	start, size := len(dst), len(src)
	var err error
	for src = src[xerialHeadBytes:]; len(src) > 0; {
		if len(src) < 4 {
			return nil, Errorf(CorruptBatch, "decompress snappy: %d bytes where a chunk's length should be", len(src))
		}
		n := binary.BigEndian.Uint32(src)
		if uint64(n) > uint64(len(src)-4) {
			return nil, Errorf(CorruptBatch, "decompress snappy: chunk of %d bytes with %d left", n, len(src)-4)
		}
		if dst, err = decodeSnappyBlock(dst, src[4:4+n], size, limit-(len(dst)-start)); err != nil {
			return nil, err
		}
		src = src[4+n:]
	}
	return dst, nil
}

// decodeSnappyBlock appends one block, whose declared length is checked
// before memory is taken. size is that of the whole, for the message.
func decodeSnappyBlock(dst, block []byte, size, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return nil, Errorf(CorruptBatch, "decompress snappy: %v", err)
	}
	if n > limit {
		return nil, tooLong(Snappy, size, limit)
	}
	at := len(dst)
	dst = append(dst, make([]byte, n)...)
	if _, err := s2.Decode(dst[at:], block); err != nil {
		return nil, Errorf(CorruptBatch, "decompress snappy: %v", err)
	}
	return dst, nil
}
