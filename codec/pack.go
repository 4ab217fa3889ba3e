package codec

import (
	"encoding/binary"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// packer writes msgpack behind a byte slice. Writing to memory cannot fail,
// so its methods return nothing.
type packer struct {
	buf     []byte
	payload []byte // goes behind buf, not copied
	enc     *msgpack.Encoder
}

var packers = sync.Pool{New: func() any {
	p := new(packer)
	p.enc = msgpack.NewEncoder(p)
	return p
}}

// Write and WriteByte are what the encoder needs.
func (p *packer) Write(b []byte) (int, error) { p.buf = append(p.buf, b...); return len(b), nil }

// WriteByte adds one byte.
func (p *packer) WriteByte(c byte) error { p.buf = append(p.buf, c); return nil }

func must(err error) {
	if err != nil {
		panic("codec: msgpack into memory: " + err.Error())
	}
}

func (p *packer) array(n int)    { must(p.enc.EncodeArrayLen(n)) }
func (p *packer) mapping(n int)  { must(p.enc.EncodeMapLen(n)) }
func (p *packer) int(v int64)    { must(p.enc.EncodeInt(v)) }
func (p *packer) text(s string)  { must(p.enc.EncodeString(s)) }
func (p *packer) bool(b bool)    { must(p.enc.EncodeBool(b)) }
func (p *packer) null()          { must(p.enc.EncodeNil()) }
func (p *packer) bytes(b []byte) { must(p.enc.EncodeBytes(b)) } // nil is null

// last writes b as a bin whose bytes follow the frame's head uncopied, so
// nothing may be written after it.
func (p *packer) last(b []byte) {
	must(p.enc.EncodeBytesLen(len(b)))
	p.payload = b
}

func (p *packer) keyText(key, v string) { p.text(key); p.text(v) }
func (p *packer) keyInt(key string, v int64) {
	p.text(key)
	p.int(v)
}

func (p *packer) texts(list []string) {
	p.array(len(list))
	for _, s := range list {
		p.text(s)
	}
}

func (p *packer) headers(hs []Header) {
	p.array(len(hs))
	for _, h := range hs {
		p.array(2)
		p.text(h.Key)
		p.bytes(h.Value)
	}
}

// smallFrame is room for most answers' heads.
const smallFrame = 64

// pack runs fill over a frame that begins in dst's memory, and puts the
// length in front.
func pack(dst []byte, fill func(*packer)) Frame {
	p := packers.Get().(*packer)
	if dst == nil {
		dst = make([]byte, 0, smallFrame)
	}
	p.buf, p.payload = append(dst[:0], 0, 0, 0, 0), nil
	fill(p)
	binary.BigEndian.PutUint32(p.buf, uint32(len(p.buf)-FrameHeadBytes+len(p.payload)))
	f := Frame{Head: p.buf, Payload: p.payload}
	p.buf, p.payload = nil, nil
	packers.Put(p)
	return f
}
