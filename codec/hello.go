package codec

import "math"

// ProtocolVersion is the one version there is.
const ProtocolVersion = 1

// FeatureRedirect is the feature of HELLO that says that a client goes to the leader of a
// partition itself: a server sends it there rather than ask the leader on its behalf.
const FeatureRedirect = "redirect"

// TokenMax is the longest token, in bytes.
const TokenMax = 512

// Hello is a client's first request.
type Hello struct {
	ProtocolMin int
	ProtocolMax int
	Client      string // name of the library or program
	Version     string // its version
	Features    []string
	FrameMax    int    // largest frame it takes, bytes; 0 = the server's choice
	Token       string // who it is, where the server asks for one and TLS has not said so; at most TokenMax bytes
}

// Op is OpHello.
func (*Hello) Op() Op { return OpHello }

func (h *Hello) pack(p *packer) {
	fields := 5
	if h.Token != "" {
		fields++
	}
	p.mapping(fields)
	p.text("proto")
	p.array(2)
	p.int(int64(h.ProtocolMin))
	p.int(int64(h.ProtocolMax))
	p.keyText("client", h.Client)
	p.keyText("version", h.Version)
	p.text("features")
	p.texts(h.Features)
	p.keyInt("max_frame", int64(h.FrameMax))
	if h.Token != "" {
		p.keyText("token", h.Token)
	}
}

func (h *Hello) unpack(u *unpacker) {
	u.mapping("HELLO", func(key string) bool {
		switch key {
		case "proto":
			n := u.array("proto", 2)
			h.ProtocolMin = int(u.int("lowest protocol", 0, math.MaxInt32))
			h.ProtocolMax = int(u.int("highest protocol", 0, math.MaxInt32))
			u.skip(n - 2)
		case "client":
			h.Client = u.text("client", nameMax)
		case "version":
			h.Version = u.text("version", nameMax)
		case "features":
			h.Features = u.texts("features", nameMax)
		case "max_frame":
			h.FrameMax = int(u.int("max_frame", 0, math.MaxInt32))
		case "token":
			h.Token = u.text("token", TokenMax)
		default:
			return false
		}
		return true
	})
}

// Welcome answers Hello with what was chosen.
type Welcome struct {
	Protocol    int
	Server      string // version of the broker
	Cluster     UUID
	Node        NodeID
	Features    []string // those of Hello that the server has too
	FrameMax    int      // bytes, for both directions
	InFlightMax int      // requests without an answer on this connection
}

func (w *Welcome) pack(p *packer) {
	p.mapping(7)
	p.keyInt("proto", int64(w.Protocol))
	p.keyText("server", w.Server)
	p.keyText("cluster", w.Cluster.String())
	p.keyText("node", string(w.Node))
	p.text("features")
	p.texts(w.Features)
	p.keyInt("max_frame", int64(w.FrameMax))
	p.keyInt("max_in_flight", int64(w.InFlightMax))
}

func (w *Welcome) unpack(u *unpacker) {
	u.mapping("answer to HELLO", func(key string) bool {
		switch key {
		case "proto":
			w.Protocol = int(u.int("proto", 0, math.MaxInt32))
		case "server":
			w.Server = u.text("server", nameMax)
		case "cluster":
			w.Cluster = u.uuid("cluster")
		case "node":
			w.Node = NodeID(u.text("node", nameMax))
		case "features":
			w.Features = u.texts("features", nameMax)
		case "max_frame":
			w.FrameMax = int(u.int("max_frame", 0, math.MaxInt32))
		case "max_in_flight":
			w.InFlightMax = int(u.int("max_in_flight", 0, math.MaxInt32))
		default:
			return false
		}
		return true
	})
}

// Ping asks whether the other side is there; the answer is Empty.
type Ping struct{ Empty }

// Op is OpPing.
func (Ping) Op() Op { return OpPing }

func (u *unpacker) uuid(what string) UUID {
	id, err := ParseUUID(u.text(what, nameMax))
	if err != nil {
		u.fail(InvalidArgument, "%s: want a UUID", what)
	}
	return id
}
