package gateway

import (
	"bytes"
	"encoding/binary"
	"net"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// framed is a hostile client that sends bytes behind its HELLO.
func framed(name, says string, bytes []byte, id uint32, code codec.Code, message string) hostile {
	return hostile{name, says, func(h *house) {
		w := h.open()
		w.bytes(bytes)
		w.told(id, code, message)
	}}
}

// ping is a request with anything for a body.
func ping(body ...byte) []byte { return frame(append([]byte{0x94, 0, 7, 2}, body...)...) }

// declared is a type byte of msgpack and a length of 32 bits.
func declared(t byte, n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{t}, n) }

var hostileFrames = []hostile{
	framed("length 0", "a frame of nothing", []byte{0, 0, 0, 0}, 0, codec.Malformed, "frame of 0 bytes"),
	framed("length 2^32-1", "a frame of four gigabytes", []byte{255, 255, 255, 255}, 0, codec.FrameTooLarge, "4294967295"),
	framed("length 8 MiB + 1", "a frame just above the limit", []byte{0, 0x80, 0, 1}, 0, codec.FrameTooLarge, "8388609 bytes: at most 8388608"),
	framed("length longer than its array", "hides a second value behind the first", frame(0x94, 0, 1, 2, 0x80, 0xc0), 0, codec.Malformed, "1 bytes follow"),
	framed("length shorter than its array", "the array goes on in the next frame", frame(0x94, 0, 1, 2), 0, codec.Malformed, "cut off"),
	framed("nested arrays of 2 MiB", "as deep as there are bytes", frame(bytes.Repeat([]byte{0x91}, 2<<20)...), 0, codec.Malformed, "nests deeper than 8"),
	framed("array32", "declares four billion elements", ping(declared(0xdd, 1<<32-1)...), 0, codec.Malformed, "cut off, too long"),
	framed("map32", "declares four billion pairs", ping(declared(0xdf, 1<<32-1)...), 0, codec.Malformed, "cut off, too long"),
	framed("bin32", "declares four gigabytes of bytes", ping(declared(0xc6, 1<<32-1)...), 0, codec.Malformed, "cut off, too long"),
	framed("str32", "declares four gigabytes of text", ping(declared(0xdb, 1<<32-1)...), 0, codec.Malformed, "cut off, too long"),
	framed("ext32", "an extension type of four gigabytes", ping(append(declared(0xc9, 1<<32-1), 5)...), 0, codec.Malformed, "extension type"),
	framed("fixext", "a small extension type", ping(0xd4, 1, 1), 0, codec.Malformed, "extension type"),
	framed("the type that is none", "0xc1, which msgpack never uses", ping(0xc1), 0, codec.Malformed, "msgpack at byte"),
	framed("1,048,577 values", "one more than a frame may hold", ping(append(declared(0xdd, 1<<20), make([]byte, 1<<20)...)...), 0, codec.Malformed, "more than 1048576 values"),
	framed("tens of millions of keys", "a map that declares thirty million of them", ping(append(declared(0xdf, 30_000_000), bytes.Repeat([]byte{0xa0, 0}, 3<<20)...)...), 0, codec.Malformed, "too long"),
	framed("four million keys", "a map that really has them", ping(append(declared(0xdf, 4_000_000), bytes.Repeat([]byte{0xa0, 0}, 4_000_000)...)...), 0, codec.Malformed, "more than 1048576 values"),
	framed("keys that are numbers", "a map from 1 to 1", ping(0x81, 1, 1), 0, codec.Malformed, "key must be a string"),
	framed("a response", "answers what was not asked", frame(0x94, 1, 5, 0, 0x80), 0, codec.Malformed, "this frame is of kind 1"),
	framed("a push", "pushes to the broker", frame(0x94, 2, 5, 0, 0x80), 0, codec.Malformed, "this frame is of kind 2"),
	framed("kind 9", "a kind that does not exist", frame(0x94, 9, 5, 0, 0x80), 0, codec.Malformed, "kind of frame is 9"),
	framed("id 0", "takes the id of the connection", frame(0x94, 0, 0, 2, 0x80), 0, codec.Malformed, "id 0"),
	framed("id of 33 bits", "an id that does not fit", frame(0x94, 0, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0x80), 0, codec.Malformed, "id is 4294967296"),
	framed("a negative operation", "asks for -1", frame(0x94, 0, 3, 0xff, 0x80), 3, codec.Malformed, "op is -1"),
	framed("a request without a body", "an array of three", frame(0x93, 0, 3, 2), 3, codec.Malformed, "no body"),
	{"operations of tomorrow", "a hundred unknown operations", func(h *house) {
		w := h.open()
		for range 100 {
			require.Contains(h, w.refused(unknownOp{}), "OP_UNKNOWN")
		}
		w.bytes(frame(0x93, 3, 0xcd, 0x27, 0x0f, 0x80)) // and a one-way, which is ignored
		w.call(&codec.Ping{}, &codec.Empty{})
	}},
	{"duplicate ids in flight", "sixty requests of the same id", func(h *house) {
		w := h.open()
		for range 60 {
			w.bytes(codec.EncodeRequest(nil, 7, &codec.Ping{}).Bytes())
		}
		for range 60 {
			require.Equal(h, uint32(7), w.receive().ID)
		}
	}},
	{"a slow body", "a frame of 1 MiB, a byte at a time", func(h *house) {
		w := h.open()
		w.bytes([]byte{0, 0x10, 0, 0})
		go w.drip(make([]byte, 100), 20*time.Millisecond)
		w.told(0, codec.TimedOut, "a frame of 1048576 bytes did not come within 1s")
	}},
	{"half a head", "two bytes of a length, and silence", func(h *house) {
		w := h.open()
		w.bytes([]byte{0, 0})
		w.told(0, codec.TimedOut, "no request for 2s")
	}},
	{"reset mid-frame", "hangs up hard in the middle of a PRODUCE", func(h *house) {
		for range 20 {
			w := h.open()
			f := codec.EncodeRequest(nil, 7, &codec.Produce{TopicPartition: tp0, Batch: batchOf(h, 0, string(make([]byte, 100_000)))}).Bytes()
			w.bytes(f[:len(f)/2])
			require.NoError(h, w.conn.(*net.TCPConn).SetLinger(0))
			require.NoError(h, w.conn.Close())
		}
	}},
	{"half-close mid-frame", "ends its side in the middle of a frame", func(h *house) {
		w := h.open()
		w.bytes([]byte{0, 0, 1, 0, 0x94, 0})
		require.NoError(h, w.conn.(*net.TCPConn).CloseWrite())
		w.closed()
	}},
	{"half-close behind requests", "ends its side and still wants what it asked for", func(h *house) {
		w := h.open()
		for range 20 {
			w.send(&codec.Produce{TopicPartition: tp0, Batch: batchOf(h, 0, "x")})
		}
		require.NoError(h, w.conn.(*net.TCPConn).CloseWrite())
		for range 20 {
			require.NoError(h, w.receive().Err())
		}
		w.closed()
	}},
	{"lengths as noise", "every frame claims 8 MiB and sends 64 KiB of it, forty times at once", func(h *house) {
		var all []*wire
		for range 40 {
			w := h.open()
			w.bytes(append([]byte{0, 0x80, 0, 0}, make([]byte, 70_000)...))
			all = append(all, w)
		}
		for _, w := range all {
			w.told(0, codec.TimedOut, "a frame of 8388608 bytes did not come")
		}
	}},
}
