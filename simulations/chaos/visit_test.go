package chaos

import (
	"bytes"
	"io"
	"net"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// besiegedTopic is what hostile clients are let loose on: partition 0 is
// theirs to write, partition 1 holds besiegedBytes.
const (
	besiegedTopic = codec.Topic("besieged")
	besiegedBytes = 8 << 20
)

// stays is how long a hostile client stays at most.
const stays = 400 * time.Millisecond

// visit is one hostile client.
type visit struct {
	name  string
	hello bool // it introduces itself first
	reads bool // what it is sent, else nothing
	does  func(say func([]byte) bool)
}

var (
	besieged0 = codec.TopicPartition{Topic: besiegedTopic}
	besieged1 = codec.TopicPartition{Topic: besiegedTopic, Partition: 1}
)

// visits are those that cost a broker most, of each table in
// gateway/hostile*_test.go some.
var visits = []visit{
	{"silence", false, false, func(func([]byte) bool) {}},
	{"speaks HTTP", false, false, once([]byte("GET / HTTP/1.1\r\n\r\n"))},
	{"half a frame before HELLO", false, false, once([]byte(codec.Magic + "\x00\x01\x00\x00"))},
	{"speaks TLS", false, false, once([]byte{0x16, 3, 1})},
	{"a frame of 4 GB", true, false, once([]byte{255, 255, 255, 255})},
	{"a frame of 1 MiB of zeros", true, false, once(append([]byte{0, 0x10, 0, 0}, make([]byte, 1<<20)...))},
	{"begins a frame of 8 MiB", true, false, once(append([]byte{0, 0x80, 0, 0}, make([]byte, 70_000)...))},
	{"fetches and reads nothing", true, false, repeated(200, ask(&codec.Fetch{TopicPartition: besieged1, MaxBytes: 8 << 20}))},
	{"subscribes and reads nothing", true, false, repeated(40, ask(&codec.Subscribe{TopicPartition: besieged1, Credit: codec.CreditMax}))},
	{"pings", true, false, repeated(5000, ask(&codec.Ping{}))},
	{"waits at the tail a thousand times", true, false, repeated(1000, ask(&codec.Fetch{TopicPartition: besieged0, MaxBytes: 1, MaxWait: 60_000}))},
	{"produces what is damaged", true, false, repeated(50, ask(&codec.Produce{TopicPartition: besieged0, Batch: damaged()}))},
	{"asks for all metadata and leaves", true, false, repeated(200, ask(&codec.MetadataQuery{}))},
	{"declares an array of 4 G values", true, false, once([]byte{0, 0, 0, 9, 0x94, 0, 7, 2, 0xdd, 255, 255, 255, 255})},
	{"half a produce", true, false, once(half(ask(&codec.Produce{TopicPartition: besieged0, Batch: ready(100_000)})))},
	{"pings and reads", true, true, repeated(20_000, ask(&codec.Ping{}))},
	{"fetches and reads", true, true, repeated(200, ask(&codec.Fetch{TopicPartition: besieged1, MaxBytes: 8 << 20}))},
	{"subscribes and reads", true, true, repeated(4, ask(&codec.Subscribe{TopicPartition: besieged1, Credit: codec.CreditMax}))},
	{"asks for what is not there and reads", true, true, repeated(5000, ask(&codec.Fetch{TopicPartition: codec.TopicPartition{Topic: "none"}}))},
	{"grants credit for nothing", true, false, repeated(5000, codec.EncodeOneWay(nil, &codec.Credit{Subscription: 1, Bytes: 1}).Bytes())},
}

func once(p []byte) func(func([]byte) bool) { return func(say func([]byte) bool) { say(p) } }

// repeated says p so many times, some of them in one piece.
func repeated(times int, p []byte) func(func([]byte) bool) {
	piece := max(1, min(times, 4096/len(p)))
	all := bytes.Repeat(p, piece)
	return func(say func([]byte) bool) {
		for n := 0; n < times && say(all); n += piece {
		}
	}
}

func ask(r codec.Request) []byte { return codec.EncodeRequest(nil, 7, r).Bytes() }

func half(p []byte) []byte { return p[:len(p)/2] }

// ready is a batch of one record of so many bytes.
func ready(size int) codec.Batch {
	var w codec.Builder
	w.Append(1, nil, make([]byte, size), nil)
	b, err := w.Build(codec.NoCompression)
	if err != nil {
		panic("chaos: " + err.Error())
	}
	return append(codec.Batch(nil), b...)
}

func damaged() codec.Batch {
	b := ready(50_000)
	b[100] ^= 1
	return b
}

// pay pays the visit. With stay the client does not go before stays have
// passed, or it is shown out.
func (v visit) pay(address string, stay bool) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	leaves := time.Now().Add(stays)
	_ = c.SetDeadline(leaves)
	say := func(p []byte) bool {
		_, err := c.Write(p)
		return err == nil
	}
	if v.hello {
		say(append([]byte(codec.Magic), codec.EncodeRequest(nil, 1, &codec.Hello{ProtocolMin: 1, ProtocolMax: 1, Client: "hostile",
			Features: []string{codec.FeatureSubscribe}}).Bytes()...))
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		if v.reads || !v.hello {
			_, _ = io.Copy(io.Discard, c)
		}
	}()
	v.does(say)
	if stay && v.hello && !v.reads {
		time.Sleep(time.Until(leaves)) // it reads nothing and is not told anything
	}
	if !stay {
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
	<-read
}
