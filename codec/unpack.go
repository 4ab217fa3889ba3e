package codec

import (
	"bytes"
	"io"
	"math"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// unpacker reads msgpack that passed Check. The first error stays and every
// read after it is zero, so a decode method reads straight down. Byte strings
// are parts of the frame, not copies.
type unpacker struct {
	frame []byte
	from  bytes.Reader
	dec   *msgpack.Decoder
	err   error
}

var unpackers = sync.Pool{New: func() any {
	u := new(unpacker)
	u.dec = msgpack.NewDecoder(&u.from)
	return u
}}

// unpack runs read over p; the error is a *Error with code Malformed or what
// read set.
func unpack(p []byte, read func(*unpacker)) error {
	u := unpackers.Get().(*unpacker)
	u.frame, u.err = p, nil
	u.from.Reset(p)
	u.dec.Reset(&u.from)
	read(u)
	err := u.err
	u.frame, u.err = nil, nil
	u.from.Reset(nil)
	unpackers.Put(u)
	return err
}

// pos is how far the frame was read.
func (u *unpacker) pos() int { return len(u.frame) - u.from.Len() }

// fail keeps the first error: what was wanted, and where.
func (u *unpacker) fail(code Code, format string, args ...any) {
	if u.err == nil {
		u.err = Errorf(code, format, args...)
	}
}

func (u *unpacker) wanted(what, kind string) {
	u.fail(Malformed, "%s at byte %d: want %s", what, u.pos(), kind)
}

// code is the type byte of the next value; false at the end or after an error.
func (u *unpacker) code() (byte, bool) {
	if u.err != nil {
		return 0, false
	}
	c, err := u.dec.PeekCode()
	return c, err == nil
}

// null steps over a null if one is next.
func (u *unpacker) null() bool {
	if c, ok := u.code(); !ok || c != msgpcode.Nil {
		return false
	}
	return u.dec.DecodeNil() == nil
}

// int reads an integer in [low, high].
func (u *unpacker) int(what string, low, high int64) int64 {
	c, ok := u.code()
	if !ok || !msgpcode.IsFixedNum(c) && (c < msgpcode.Uint8 || c > msgpcode.Int64) {
		u.wanted(what, "an integer")
		return 0
	}
	v, err := u.dec.DecodeInt64()
	if err != nil || c == msgpcode.Uint64 && v < 0 {
		u.wanted(what, "an integer of 64 bits with a sign")
		return 0
	}
	if v < low || v > high {
		u.fail(InvalidArgument, "%s is %d: want %d to %d", what, v, low, high)
		return 0
	}
	return v
}

func (u *unpacker) bool(what string) bool {
	if _, ok := u.code(); !ok {
		u.wanted(what, "true or false")
		return false
	}
	v, err := u.dec.DecodeBool()
	if err != nil {
		u.wanted(what, "true or false")
	}
	return v
}

// bytes reads a bin, or a str of older libraries; null is nil. The result is
// a part of the frame.
func (u *unpacker) bytes(what string) []byte {
	c, ok := u.code()
	if !ok || !msgpcode.IsBin(c) && !msgpcode.IsString(c) && c != msgpcode.Nil {
		u.wanted(what, "bytes")
		return nil
	}
	n, err := u.dec.DecodeBytesLen()
	if err != nil || n > u.from.Len() {
		u.wanted(what, "bytes")
		return nil
	}
	if n < 0 {
		return nil
	}
	at := u.pos()
	if _, err := u.from.Seek(int64(n), io.SeekCurrent); err != nil {
		u.wanted(what, "bytes")
	}
	return u.frame[at : at+n : at+n]
}

// nextIsBytes says whether a bin comes next, or a str of older libraries.
func (u *unpacker) nextIsBytes() bool {
	c, ok := u.code()
	return ok && (msgpcode.IsBin(c) || msgpcode.IsString(c))
}

// text reads a string of at most high bytes.
func (u *unpacker) text(what string, high int) string {
	b := u.bytes(what)
	if len(b) > high {
		u.fail(InvalidArgument, "%s has %d bytes: at most %d are allowed", what, len(b), high)
		return ""
	}
	return string(b)
}

// array reads the head of an array and returns its length, at least low.
// Check has seen that each element is there.
func (u *unpacker) array(what string, low int) int {
	c, ok := u.code()
	if !ok || !msgpcode.IsFixedArray(c) && c != msgpcode.Array16 && c != msgpcode.Array32 {
		u.wanted(what, "an array")
		return 0
	}
	n, err := u.dec.DecodeArrayLen()
	if err != nil || n < low {
		u.fail(Malformed, "%s has %d elements: want at least %d", what, n, low)
		return 0
	}
	return n
}

// skip steps over n values.
func (u *unpacker) skip(n int) {
	for ; n > 0 && u.err == nil; n-- {
		if err := u.dec.Skip(); err != nil {
			u.fail(Malformed, "byte %d: %v", u.pos(), err)
		}
	}
}

// mapping calls each with every key of a map; each reads its value and
// reports whether it knew the key. Unknown ones are stepped over.
func (u *unpacker) mapping(what string, each func(key string) bool) {
	c, ok := u.code()
	if !ok || !msgpcode.IsFixedMap(c) && c != msgpcode.Map16 && c != msgpcode.Map32 {
		u.wanted(what, "a map")
		return
	}
	n, err := u.dec.DecodeMapLen()
	if err != nil {
		u.wanted(what, "a map")
	}
	for ; n > 0 && u.err == nil; n-- {
		if key := u.text(what+"'s key", 1<<10); u.err == nil && !each(key) {
			u.skip(1)
		}
	}
}

// list calls each for every element of an array.
func (u *unpacker) list(what string, each func()) {
	for n := u.array(what, 0); n > 0 && u.err == nil; n-- {
		each()
	}
}

func (u *unpacker) texts(what string, high int) []string {
	var out []string
	u.list(what, func() { out = append(out, u.text(what, high)) })
	return out
}

// Bounds of fields that occur more than once.
const (
	partitionMax = math.MaxInt32
	nameMax      = 256
	settingMax   = 1 << 10
	int64Max     = math.MaxInt64
)

// topicAgain is topic, in the memory of old when it is the same.
func (u *unpacker) topicAgain(old Topic) Topic {
	b := u.bytes("topic")
	if string(b) == string(old) {
		return old
	}
	if len(b) > topicNameMax {
		u.fail(InvalidArgument, "topic has %d bytes: at most %d are allowed", len(b), topicNameMax)
		return ""
	}
	return Topic(b)
}

func (u *unpacker) topic() Topic         { return Topic(u.text("topic", topicNameMax)) }
func (u *unpacker) partition() Partition { return Partition(u.int("partition", 0, partitionMax)) }
func (u *unpacker) offset(what string) Offset {
	return Offset(u.int(what, 0, int64Max))
}

func (u *unpacker) headers() []Header {
	var out []Header
	u.list("headers", func() {
		n := u.array("header", 2)
		out = append(out, Header{Key: u.text("header key", 1<<20), Value: u.bytes("header value")})
		u.skip(n - 2)
	})
	return out
}
