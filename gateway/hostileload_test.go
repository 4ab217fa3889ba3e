package gateway

import (
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// TestAWellBehavedClientBesideAllOfThem measures how long answers take a
// client that behaves well, quiet and while hostile clients of all kinds come
// at once, again and again. The figure is what it prints; what it asserts has
// slack, for hostile clients, broker and disk share the machine's cores.
func TestAWellBehavedClientBesideAllOfThem(t *testing.T) {
	const lasts = 3 * time.Second
	h := newHouse(t)
	h.fill(8)
	quiet := h.measured(lasts)
	stop := h.besieged()
	loaded := h.measured(lasts)
	attacks := stop()
	ratio := float64(quantile(loaded, 0.99)) / float64(quantile(quiet, 0.99))
	t.Logf("quiet %d answers, p50 %v, p99 %v; beside %d hostile visits %d answers, p50 %v, p99 %v: %.1f times the p99",
		len(quiet), quantile(quiet, 0.5), quantile(quiet, 0.99), attacks, len(loaded), quantile(loaded, 0.5), quantile(loaded, 0.99), ratio)
	require.Less(t, quantile(loaded, 0.99), max(20*quantile(quiet, 0.99), time.Second))
}

func quantile(took []time.Duration, q float64) time.Duration {
	slices.Sort(took)
	return took[int(q*float64(len(took)-1))]
}

// measured is what a client that behaves well waits for its answers, of which there
// are enough to speak of on a slow machine as well.
func (h *house) measured(lasts time.Duration) []time.Duration {
	h.Helper()
	b := h.bystander(1)
	after := time.After(lasts)
	b.goesOn(20)
	<-after
	return b.stop()
}

// besieged lets hostile clients loose until stop, which returns how many came:
// ten at a time, each kind in its turn, with a breath between one visit and
// the next so that it is not their own use of the machine that is measured.
func (h *house) besieged() (stop func() int) {
	done, visits := make(chan struct{}), make(chan struct{}, 1<<20)
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			breath := time.NewTicker(20 * time.Millisecond)
			defer breath.Stop()
			for n := i; ; n++ {
				select {
				case <-done:
					return
				case <-breath.C:
				}
				h.visit(n)
				visits <- struct{}{}
			}
		})
	}
	return func() int { close(done); all.Wait(); return len(visits) }
}

// visit is one hostile visit that does not look at what it is told.
func (h *house) visit(n int) {
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(400 * time.Millisecond))
	tp1 := codec.TopicPartition{Topic: "t", Partition: 1}
	say := func(p []byte) { _, _ = c.Write(p) }
	ask := func(times int, r codec.Request) {
		f := codec.EncodeRequest(nil, 7, r).Bytes()
		for range times {
			say(f)
			runtime.Gosched() // it would run on another machine
		}
	}
	if kind := n % 16; kind >= 4 {
		say(withMagic(hello))
	}
	switch n % 16 {
	case 0: // silence
	case 1:
		say([]byte("GET / HTTP/1.1\r\n\r\n"))
	case 2:
		say(withMagic([]byte{0, 1, 0, 0}))
	case 3:
		say([]byte{0x16, 3, 1})
		return
	case 4:
		say([]byte{255, 255, 255, 255})
	case 5:
		say(frame(make([]byte, 1<<20)...))
	case 6:
		say(append([]byte{0, 0x80, 0, 0}, make([]byte, 70_000)...))
	case 7:
		ask(200, &codec.Fetch{TopicPartition: tp1, MaxBytes: 8 << 20})
	case 8:
		ask(40, &codec.Subscribe{TopicPartition: tp1, Credit: codec.CreditMax})
	case 9:
		ask(5000, &codec.Ping{})
	case 10:
		ask(1000, &codec.Fetch{TopicPartition: tp0, MaxBytes: 1, MaxWait: 60_000})
	case 11:
		bad := batchOf(h, 0, string(make([]byte, 50_000)))
		bad[100] ^= 1
		ask(50, &codec.Produce{TopicPartition: tp0, Batch: bad})
	case 12:
		ask(200, &codec.MetadataQuery{})
		return
	case 13:
		say(ping(declared(0xdd, 1<<32-1)...))
	case 14:
		f := codec.EncodeRequest(nil, 7, &codec.Produce{TopicPartition: tp0, Batch: batchOf(h, 0, string(make([]byte, 100_000)))}).Bytes()
		say(f[:len(f)/2])
		return
	case 15:
		one := codec.EncodeOneWay(nil, &codec.Credit{Subscription: 1, Bytes: 1}).Bytes()
		for range 5000 {
			say(one)
			runtime.Gosched()
		}
	}
	_, _ = c.Read(make([]byte, 1)) // it stays until it is told, or for as long as it likes
}
