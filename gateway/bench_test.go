package gateway

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// still is a broker of one partition that takes and gives at once and costs
// no memory, so that what is measured is the gateway's.
type still struct {
	Broker
	log  []byte // what a read gives, again and again
	next codec.Offset
}

func (s *still) Identity() Identity { return Identity{Node: "n1"} }

func (s *still) Partition(codec.TopicPartition) (Partition, error) { return s, nil }

func (s *still) Produce(_ context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	reply(codec.Produced{Base: s.next}, nil)
	return nil
}

func (s *still) MaxMessageBytes() int { return 1 << 20 }

func (s *still) Read(dst []byte, _ codec.Offset, most int) ([]byte, error) {
	return append(dst, s.log[:min(most, len(s.log))]...), nil
}

func (s *still) Bounds() (start, high codec.Offset, err error) { return 0, 1 << 40, nil }

func (s *still) Await(codec.Offset, time.Duration, func()) func() { return func() {} }

func (s *still) OffsetForTime(codec.Millis) (codec.Offset, bool, error) { return 0, false, nil }

// batch64 is a batch of about 64 KiB: 63 records of 1 KiB.
func batch64(b *testing.B) codec.Batch {
	values := make([]string, 63)
	for i := range values {
		values[i] = string(make([]byte, 1<<10))
	}
	return batchOf(b, codec.NoCompression, values...)
}

// greeted is a connection behind its HELLO.
func greeted(b *testing.B, broker Broker) net.Conn {
	s := New(broker, Options{})
	addr, err := s.Listen("127.0.0.1:0")
	require.NoError(b, err)
	c, err := net.Dial("tcp", addr.String())
	require.NoError(b, err)
	b.Cleanup(func() {
		require.NoError(b, c.Close())
		require.NoError(b, s.Close(context.Background()))
	})
	hello := append([]byte(codec.Magic), codec.EncodeRequest(nil, 1, &codec.Hello{ProtocolMin: 1, ProtocolMax: 1}).Bytes()...)
	_, err = c.Write(hello)
	require.NoError(b, err)
	_, err = codec.NewFrameReader(c, codec.FrameMax).Read(nil)
	require.NoError(b, err)
	return c
}

// answers reads n frames from c without making memory.
func answers(b *testing.B, c net.Conn, n int, taken func()) {
	in, buf := codec.NewFrameReader(c, codec.FrameMax), make([]byte, 2<<20)
	for range n {
		frame, err := in.Read(buf)
		if err != nil {
			b.Error(err)
			return
		}
		if frame[3] != 0 && frame[1] < 0x80 {
			b.Errorf("refused: %x", frame[:4])
			return
		}
		buf = frame
		taken()
	}
}

// BenchmarkProduce is what the gateway spends on a ready batch of 64 KiB: 8 in
// flight on one connection.
func BenchmarkProduce(b *testing.B) {
	batch := batch64(b)
	c := greeted(b, &still{})
	frame := codec.EncodeRequest(nil, 100, &codec.Produce{TopicPartition: tp0, Batch: batch}).Bytes()
	slots := make(chan struct{}, 8)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	b.ResetTimer()
	done := make(chan struct{})
	go func() {
		defer close(done)
		answers(b, c, b.N, func() { <-slots })
	}()
	for range b.N {
		slots <- struct{}{}
		if _, err := c.Write(frame); err != nil {
			b.Fatal(err)
		}
	}
	<-done
}

// BenchmarkFetch is what the gateway spends on an answer of 1 MiB, 15 batches.
func BenchmarkFetch(b *testing.B) {
	var log []byte
	for one := batch64(b); len(log)+len(one) <= 1<<20; {
		log = append(log, one...)
	}
	c := greeted(b, &still{log: log})
	frame := codec.EncodeRequest(nil, 100, &codec.Fetch{TopicPartition: tp0, MaxBytes: len(log), MaxWait: 1}).Bytes()
	slots := make(chan struct{}, 4)
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	b.ResetTimer()
	done := make(chan struct{})
	go func() {
		defer close(done)
		answers(b, c, b.N, func() { <-slots })
	}()
	for range b.N {
		slots <- struct{}{}
		if _, err := c.Write(frame); err != nil {
			b.Fatal(err)
		}
	}
	<-done
}
