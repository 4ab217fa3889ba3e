package gateway

import (
	"net"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

var hello = codec.EncodeRequest(nil, 1, &codec.Hello{ProtocolMin: 1, ProtocolMax: 1}).Bytes()

// drip sends p a byte at a time until it is refused.
func (w *wire) drip(p []byte, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range p {
		if _, err := w.conn.Write(p[i : i+1]); err != nil {
			return
		}
		<-tick.C
	}
}

// greeting is a hostile client whose first bytes are enough.
func greeting(name, says string, bytes []byte, id uint32, code codec.Code, message string) hostile {
	return hostile{name, says, func(h *house) {
		w := h.raw()
		w.bytes(bytes)
		w.told(id, code, message)
	}}
}

func withMagic(p []byte) []byte { return append([]byte(codec.Magic), p...) }

// flood opens n connections from an address, which say nothing, and counts
// what those are told that are turned away. The others stay for a while.
func (h *house) flood(address string, n int) map[codec.Code]int {
	h.Helper()
	told := map[codec.Code]int{}
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	for range n {
		c, err := from.Dial("tcp", h.addr)
		require.NoError(h, err)
		h.Cleanup(func() { _ = c.Close() })
		require.NoError(h, c.SetReadDeadline(time.Now().Add(2*time.Millisecond)))
		if p, err := codec.NewFrameReader(c, 1<<10).Read(nil); err == nil {
			e, err := codec.ParseEnvelope(p)
			require.NoError(h, err)
			told[e.Code]++
		}
	}
	return told
}

var hostileGreetings = []hostile{
	{"silence", "connects and says nothing", func(h *house) { h.raw().told(0, codec.TimedOut, "no magic within 600ms") }},
	{"half a magic", "sends two of the four bytes", func(h *house) {
		w := h.raw()
		w.bytes([]byte("TR"))
		w.told(0, codec.TimedOut, "no magic")
	}},
	{"slowloris", "sends its HELLO a byte at a time, each in good time", func(h *house) {
		w := h.raw()
		go w.drip(withMagic(hello), 30*time.Millisecond)
		w.told(0, codec.TimedOut, "no HELLO within 600ms")
	}},
	{"held open before HELLO", "fifty connections that say the magic and no more", func(h *house) {
		var all []*wire
		for range 50 {
			w := h.raw()
			w.bytes([]byte(codec.Magic))
			all = append(all, w)
		}
		for _, w := range all {
			w.told(0, codec.TimedOut, "no HELLO")
		}
	}},
	{"a promise of 64 KiB", "fifty HELLOs that claim 64 KiB and send none of it", func(h *house) {
		var all []*wire
		for range 50 {
			w := h.raw()
			w.bytes(withMagic([]byte{0, 1, 0, 0}))
			all = append(all, w)
		}
		for _, w := range all {
			w.told(0, codec.TimedOut, "no HELLO")
		}
	}},
	greeting("http", "takes it for a web server", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 0, codec.Malformed, `opens with "GET "`),
	greeting("tls", "sends a ClientHello", append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, make([]byte, 500)...), 0, codec.Malformed, "opens with"),
	greeting("kafka", "sends ApiVersions as a Kafka client does", []byte{0, 0, 0, 20, 0, 18, 0, 3, 0, 0, 0, 1, 0, 4, 't', 'e', 's', 't', 0, 0, 0, 0, 0, 0}, 0, codec.Malformed, "opens with"),
	greeting("another version", "says TRP2", []byte("TRP2"), 0, codec.Malformed, `opens with "TRP2"`),
	greeting("fetch before hello", "reads without a greeting", withMagic(codec.EncodeRequest(nil, 9, &codec.Fetch{MaxBytes: 1}).Bytes()), 9, codec.HelloFirst, "FETCH before HELLO"),
	greeting("credit before hello", "grants before it has said who it is", withMagic(codec.EncodeOneWay(nil, &codec.Credit{Subscription: 1}).Bytes()), 0, codec.Malformed, "kind 3"),
	greeting("hello too large", "a HELLO of 64 KiB and one byte", withMagic([]byte{0, 1, 0, 1}), 0, codec.FrameTooLarge, "65537 bytes: at most 65536"),
	greeting("hello a list", "HELLO with an array for a body", withMagic(frame(0x94, 0, 1, 1, 0x90)), 1, codec.Malformed, "HELLO at byte 0: want a map"),
	greeting("hello with wrong types", "protocol numbers that are words", withMagic(frame(append([]byte{0x94, 0, 1, 1, 0x81, 0xa5}, "proto\x92\xa1x\xa1y"...)...)), 1, codec.Malformed, "lowest protocol"),
	greeting("protocol of tomorrow", "speaks versions 7 to 9", withMagic(codec.EncodeRequest(nil, 1, &codec.Hello{ProtocolMin: 7, ProtocolMax: 9}).Bytes()), 1, codec.VersionUnknown, "speaks protocol 7 to 9"),
	{"hello twice", "greets again to get larger frames", func(h *house) {
		w := h.open()
		w.bytes(codec.EncodeRequest(nil, 5, &codec.Hello{ProtocolMin: 1, ProtocolMax: 1, FrameMax: 1 << 30}).Bytes())
		w.told(5, codec.Malformed, "a second HELLO")
	}},
	{"ten thousand features", "fills its HELLO with names", func(h *house) {
		w := h.raw()
		w.bytes([]byte(codec.Magic))
		names := strings.Split(strings.Repeat("feat ", 10_000), " ")
		w.call(&codec.Hello{ProtocolMin: 1, ProtocolMax: 1, Features: names[:10_000]}, &codec.Welcome{})
		w.call(&codec.Ping{}, &codec.Empty{})
	}},
	{"frames of one byte", "takes no frame that is larger", func(h *house) {
		w := h.raw()
		w.bytes([]byte(codec.Magic))
		var a codec.Welcome
		w.call(&codec.Hello{ProtocolMin: 1, ProtocolMax: 1, FrameMax: 1}, &a)
		require.Equal(h, codec.HelloFrameMax, a.FrameMax)
	}},
	{"connect and reset", "three hundred connections that are reset at once", func(h *house) {
		for range 300 {
			w := h.raw()
			require.NoError(h, w.conn.(*net.TCPConn).SetLinger(0))
			require.NoError(h, w.conn.Close())
		}
	}},
	{"a flood of connections", "takes all that one address may have", func(h *house) {
		require.Positive(h, h.flood("127.0.0.1", 220)[codec.TooManyConnections])
	}},
	{"a flood from many addresses", "takes all connections that there are", func(h *house) {
		h.flood("127.0.0.1", 140)
		require.Positive(h, h.flood("127.0.0.2", 120)[codec.Overloaded])
	}},
}
