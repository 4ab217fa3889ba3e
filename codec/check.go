package codec

import "encoding/binary"

// Bounds of a frame's msgpack, checked before any decoder sees it.
const (
	// FrameDepthMax is how deep arrays and maps may nest.
	FrameDepthMax = 8
	// FrameElementsMax is how many values a frame may hold.
	FrameElementsMax = 1 << 20
	// checkDepthLimit bounds maxDepth: the stack of Check is on the stack.
	checkDepthLimit = 16
)

// level is an array or a map that Check is inside of.
type level struct {
	left int  // values still to come; a map of n has 2n
	keys bool // a map: with an even number left the next one is a key
}

// Check says whether frame is exactly one msgpack value that is safe for any
// decoder: every declared length within the bytes that remain, no extension
// types, map keys strings, nested at most maxDepth (up to 16), at most
// maxElements values. It neither recurses nor allocates. The error is a
// *Error with code Malformed.
//
// It exists because decoders of msgpack size memory by declared lengths and
// recurse by declared nesting: five hostile bytes cost them a gigabyte.
// Source of the format: https://github.com/msgpack/msgpack/blob/master/spec.md
func Check(frame []byte, maxDepth, maxElements int) error {
	var stack [checkDepthLimit]level
	depth, pos, elements := 0, 0, 0
	maxDepth = min(maxDepth, checkDepthLimit)
	for {
		t, ok := scanToken(frame[pos:])
		if !ok {
			return Errorf(Malformed, "msgpack at byte %d of %d: cut off, too long or an extension type", pos, len(frame))
		}
		if elements++; elements > maxElements {
			return Errorf(Malformed, "msgpack has more than %d values", maxElements)
		}
		if depth > 0 {
			top := &stack[depth-1]
			if top.keys && top.left%2 == 0 && !t.text {
				return Errorf(Malformed, "msgpack at byte %d of %d: a map's key must be a string", pos, len(frame))
			}
			top.left--
		}
		pos += t.size
		if t.children > 0 {
			if depth == maxDepth {
				return Errorf(Malformed, "msgpack nests deeper than %d", maxDepth)
			}
			stack[depth] = level{left: t.children, keys: t.keys}
			depth++
		}
		for depth > 0 && stack[depth-1].left == 0 {
			depth--
		}
		if depth == 0 {
			break
		}
	}
	if pos != len(frame) {
		return Errorf(Malformed, "%d bytes follow the msgpack value", len(frame)-pos)
	}
	return nil
}

// token is what one type byte of msgpack declares.
type token struct {
	size     int  // bytes of the token, its own payload included
	children int  // values that follow as its elements
	keys     bool // children are keys and values in turn
	text     bool // a string
}

// fixedSize is the size of the types 0xc0..0xdf that have one; 0 = other.
var fixedSize = [32]byte{
	0x00: 1, 0x02: 1, 0x03: 1, // nil, false, true
	0x0a: 5, 0x0b: 9, // float32, float64
	0x0c: 2, 0x0d: 3, 0x0e: 5, 0x0f: 9, // uint8..uint64
	0x10: 2, 0x11: 3, 0x12: 5, 0x13: 9, // int8..int64
}

// scanToken reads the token at the start of p; ok is false when it is cut
// off, is an extension, or declares more than p can hold.
func scanToken(p []byte) (t token, ok bool) {
	if len(p) == 0 {
		return t, false
	}
	switch c := p[0]; {
	case c < 0x80 || c >= 0xe0: // fixint
		return token{size: 1}, true
	case c < 0x90:
		return scanContainer(p, 1, 2*int(c&0x0f), true)
	case c < 0xa0:
		return scanContainer(p, 1, int(c&0x0f), false)
	case c < 0xc0:
		return scanBytes(p, 1, uint64(c&0x1f), true)
	case fixedSize[c-0xc0] != 0:
		n := int(fixedSize[c-0xc0])
		return token{size: n}, n <= len(p)
	case c >= 0xc4 && c <= 0xc6: // bin8, bin16, bin32
		n, head := scanLength(p, 1<<(c-0xc4))
		return scanBytes(p, head, n, false)
	case c >= 0xd9 && c <= 0xdb: // str8, str16, str32
		n, head := scanLength(p, 1<<(c-0xd9))
		return scanBytes(p, head, n, true)
	case c == 0xdc || c == 0xdd: // array16, array32
		n, head := scanLength(p, 2<<(c-0xdc))
		return scanContainer(p, head, int(n), false)
	case c == 0xde || c == 0xdf: // map16, map32
		n, head := scanLength(p, 2<<(c-0xde))
		return scanContainer(p, head, 2*int(n), true)
	}
	return t, false
}

// scanLength reads a length of width bytes behind the type byte; head is past
// the end of p when p is cut off.
func scanLength(p []byte, width int) (n uint64, head int) {
	if len(p) <= width {
		return 0, len(p) + 1
	}
	switch width {
	case 1:
		return uint64(p[1]), 2
	case 2:
		return uint64(binary.BigEndian.Uint16(p[1:])), 3
	}
	return uint64(binary.BigEndian.Uint32(p[1:])), 5
}

// scanContainer needs at least one byte for each child.
func scanContainer(p []byte, head, children int, keys bool) (token, bool) {
	return token{size: head, children: children, keys: keys}, head <= len(p) && children <= len(p)-head
}

func scanBytes(p []byte, head int, n uint64, text bool) (token, bool) {
	return token{size: head + int(n), text: text}, head <= len(p) && n <= uint64(len(p)-head)
}
