package codec

import "math"

// LinkMagic is what a connection between brokers opens with, before the first
// frame. It is none that a client says, so neither comes in at the other's
// door.
const LinkMagic = "TRL1"

// LinkVersion is the one version of what brokers say to each other.
const LinkVersion = 1

// GreetingFrameMax is the limit on frames before a greeting is answered, in
// bytes.
const GreetingFrameMax = 16 << 10

// greetingElementsMax is how many values such a frame may hold.
const greetingElementsMax = 256

// Purpose is what a connection between brokers is for.
type Purpose string

// The purposes.
const (
	PurposeControl   Purpose = "control"   // letters of LaneControl
	PurposeBulk      Purpose = "bulk"      // letters of LaneBulk
	PurposeQuestions Purpose = "questions" // asked and answered before a cluster is known
	PurposeService   Purpose = "service"   // calls of a service, and their answers
)

// Greeting is the first frame on a connection between brokers, and the answer
// of who is greeted: each says who it is.
type Greeting struct {
	VersionMin, VersionMax int
	Purpose                Purpose
	Role                   Role
	Cluster                UUID // zero: belongs to none yet
	Node                   NodeID
	Disk                   UUID
	// Life is drawn anew by each process, at its start: two with the same node
	// and disk are told apart by it.
	Life uint64
	// Address is where others reach the sender's link.
	Address string
	// To is the node that is meant to be there; empty when that is not known.
	To NodeID
	// Window is what a broker grants a service that it answers; zero for all others.
	Window Window
}

// Window is what a service may have under way on one connection: calls whose answers
// the broker has not sent, and the bytes that those cost.
type Window struct {
	Calls int
	Bytes int // at least the cost of the dearest call
}

// Admits says whether a call of that cost may be sent beside those under way.
func (w Window) Admits(calls, bytes, cost int) bool { return calls < w.Calls && bytes+cost <= w.Bytes }

// Kinds of frames before letters.
const (
	greetingFrame = 0 // [0, greeting]
	acceptedFrame = 1 // [1, greeting]: who answers
	refusedFrame  = 2 // [2, {code, msg}]
)

// EncodeGreeting makes the first frame.
func EncodeGreeting(g *Greeting) Frame { return packGreeting(greetingFrame, g.pack) }

// EncodeAccepted answers a greeting: the connection is open.
func EncodeAccepted(g *Greeting) Frame { return packGreeting(acceptedFrame, g.pack) }

// EncodeRefused answers a greeting: the connection is closed behind it. A long
// reason is cut short.
func EncodeRefused(e *Error) Frame {
	return packGreeting(refusedFrame, func(p *packer) {
		p.mapping(2)
		p.keyInt("code", int64(e.Code))
		p.keyText("msg", e.Message[:min(len(e.Message), settingMax)])
	})
}

func packGreeting(kind int64, body func(*packer)) Frame {
	return pack(nil, func(p *packer) {
		p.array(2)
		p.int(kind)
		body(p)
	})
}

// ParseGreeting reads the body of a first frame. The error is a *Error.
func ParseGreeting(frame []byte) (*Greeting, error) {
	var g Greeting
	err := openGreeting(frame, func(u *unpacker, kind int64) {
		if kind != greetingFrame {
			u.fail(Malformed, "frame of kind %d: a greeting comes first", kind)
			return
		}
		g.unpack(u)
	})
	if err != nil {
		return nil, err
	}
	return &g, nil
}

// ParseGreeted reads the body of the answer to a greeting: who answers, or why
// it refuses, as a *Error. An answer that is none is Malformed.
func ParseGreeted(frame []byte) (*Greeting, error) {
	var g Greeting
	refused := Error{}
	err := openGreeting(frame, func(u *unpacker, kind int64) {
		switch kind {
		case acceptedFrame:
			g.unpack(u)
		case refusedFrame:
			refused.unpackRefusal(u)
		default:
			u.fail(Malformed, "frame of kind %d: want the answer to a greeting", kind)
		}
	})
	if err != nil {
		return nil, err
	}
	if refused.Code != OK {
		return nil, &refused
	}
	return &g, nil
}

// openGreeting checks a frame and reads its kind.
func openGreeting(frame []byte, body func(*unpacker, int64)) error {
	if len(frame) > GreetingFrameMax {
		return Errorf(FrameTooLarge, "frame of %d bytes: at most %d are allowed here", len(frame), GreetingFrameMax)
	}
	if err := Check(frame, FrameDepthMax, greetingElementsMax); err != nil {
		return err
	}
	return unpack(frame, func(u *unpacker) {
		n := u.array("frame", 2)
		kind := u.int("kind", 0, math.MaxInt32)
		if u.err == nil {
			body(u, kind)
		}
		u.skip(n - 2)
	})
}

func (e *Error) unpackRefusal(u *unpacker) {
	u.mapping("refusal", func(key string) bool {
		switch key {
		case "code":
			e.Code = Code(u.int("code", 1, math.MaxUint16))
		case "msg":
			e.Message = u.text("msg", settingMax)
		default:
			return false
		}
		return true
	})
	if e.Code == OK {
		u.fail(Malformed, "a refusal without a code")
	}
}

func (g *Greeting) pack(p *packer) {
	if g.Window == (Window{}) {
		p.mapping(9)
	} else {
		p.mapping(11)
		p.keyInt("window_calls", int64(g.Window.Calls))
		p.keyInt("window_bytes", int64(g.Window.Bytes))
	}
	p.text("proto")
	p.array(2)
	p.int(int64(g.VersionMin))
	p.int(int64(g.VersionMax))
	p.keyText("purpose", string(g.Purpose))
	p.keyText("role", string(g.Role))
	p.keyText("cluster", g.Cluster.String())
	p.keyText("node", string(g.Node))
	p.keyText("disk", g.Disk.String())
	p.keyInt("life", int64(g.Life))
	p.keyText("address", g.Address)
	p.keyText("to", string(g.To))
}

func (g *Greeting) unpack(u *unpacker) {
	u.mapping("greeting", func(key string) bool {
		switch key {
		case "proto":
			n := u.array("proto", 2)
			g.VersionMin = int(u.int("lowest protocol", 0, math.MaxInt32))
			g.VersionMax = int(u.int("highest protocol", 0, math.MaxInt32))
			u.skip(n - 2)
		case "purpose":
			g.Purpose = Purpose(u.text("purpose", nameMax))
		case "role":
			g.Role = Role(u.text("role", nameMax))
		case "cluster":
			g.Cluster = u.uuid("cluster")
		case "node":
			g.Node = NodeID(u.text("node", nameMax))
		case "disk":
			g.Disk = u.uuid("disk")
		case "life":
			g.Life = uint64(u.int("life", 0, int64Max))
		case "address":
			g.Address = u.text("address", nameMax)
		case "to":
			g.To = NodeID(u.text("to", nameMax))
		case "window_calls":
			g.Window.Calls = int(u.int("window_calls", 0, math.MaxInt32))
		case "window_bytes":
			g.Window.Bytes = int(u.int("window_bytes", 0, math.MaxInt32))
		default:
			return false
		}
		return true
	})
	if g.Node == "" {
		u.fail(Malformed, "a greeting without a node")
	}
}
