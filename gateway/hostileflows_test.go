package gateway

import (
	"net"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// fill stores mib MiB in partition 1 of t, in batches of almost one.
func (h *house) fill(mib int) {
	h.Helper()
	w := h.open()
	for range mib {
		w.call(&codec.Produce{TopicPartition: codec.TopicPartition{Topic: "t", Partition: 1}, Batch: batchOf(h, 0, string(make([]byte, 1<<20-200)))}, &codec.Produced{})
	}
	require.NoError(h, w.conn.Close())
}

// pour sends p until it cannot, or for at most d, and reads nothing.
func (w *wire) pour(p []byte, d time.Duration) {
	_ = w.conn.SetWriteDeadline(time.Now().Add(d))
	for {
		if _, err := w.conn.Write(p); err != nil {
			return
		}
	}
}

// letGo waits until the door has fewer than n connections.
func (h *house) letGo(n int) {
	h.Helper()
	until(h.T, "it was let go", func() bool { return h.server.Connections() < n })
}

var hostileFlows = []hostile{
	{"asks for much and reads nothing", "twenty connections fetch what they do not take", func(h *house) {
		h.fill(8)
		for range 20 {
			w := h.open()
			require.NoError(h, w.conn.(*net.TCPConn).SetReadBuffer(4096))
			for range 30 {
				w.send(&codec.Fetch{TopicPartition: codec.TopicPartition{Topic: "t", Partition: 1}, Offset: h.end(1) - 8, MaxBytes: 8 << 20})
			}
		}
		h.letGo(3)
	}},
	{"subscribes and reads nothing", "ten connections with a gigabyte of credit", func(h *house) {
		h.fill(8)
		for range 10 {
			w := h.open()
			require.NoError(h, w.conn.(*net.TCPConn).SetReadBuffer(4096))
			for range 4 {
				w.send(&codec.Subscribe{TopicPartition: codec.TopicPartition{Topic: "t", Partition: 1}, Offset: h.end(1) - 8, Credit: codec.CreditMax})
			}
		}
		h.letGo(3)
	}},
	{"subscribes and grants nothing", "thirty subscriptions that never go on", func(h *house) {
		h.fill(2)
		w := h.open()
		for range 30 {
			w.subscribe(codec.Subscribe{TopicPartition: codec.TopicPartition{Topic: "t", Partition: 1}, Offset: h.end(1) - 2, Credit: 0})
		}
		w.call(&codec.Ping{}, &codec.Empty{}) // and no push before it
	}},
	{"takes its answers drop by drop", "a byte every now and then keeps nothing alive", func(h *house) {
		h.fill(8)
		w := h.open()
		require.NoError(h, w.conn.(*net.TCPConn).SetReadBuffer(4096))
		for range 60 {
			w.send(&codec.Fetch{TopicPartition: codec.TopicPartition{Topic: "t", Partition: 1}, Offset: h.end(1) - 8, MaxBytes: 8 << 20})
		}
		one := make([]byte, 1)
		for h.server.Connections() > 1 {
			if _, err := w.conn.Read(one); err != nil {
				break
			}
		}
	}},
	{"pings without reading", "as many as it can send in a second", func(h *house) {
		w := h.open()
		require.NoError(h, w.conn.(*net.TCPConn).SetReadBuffer(4096))
		w.pour(codec.EncodeRequest(nil, 7, &codec.Ping{}).Bytes(), time.Second)
		require.NoError(h, w.conn.Close())
	}},
	{"refused requests without reading", "errors are longer than what asks for them", func(h *house) {
		w := h.open()
		require.NoError(h, w.conn.(*net.TCPConn).SetReadBuffer(4096))
		w.pour(codec.EncodeRequest(nil, 7, &codec.Fetch{TopicPartition: codec.TopicPartition{Topic: "no such topic"}, MaxBytes: 1}).Bytes(), time.Second)
		require.NoError(h, w.conn.Close())
	}},
	{"metadata without reading", "large answers that are made for nobody", func(h *house) {
		w := h.open()
		require.NoError(h, w.conn.(*net.TCPConn).SetReadBuffer(4096))
		w.pour(codec.EncodeRequest(nil, 7, &codec.MetadataQuery{}).Bytes(), time.Second)
		require.NoError(h, w.conn.Close())
	}},
	{"a hundred thousand fetches at the tail", "pipelined, none of them read", func(h *house) {
		w := h.open()
		f := codec.EncodeRequest(nil, 7, &codec.Fetch{TopicPartition: tp0, Offset: h.end(0), MaxBytes: 1, MaxWait: 60_000}).Bytes()
		_ = w.conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		for range 100_000 {
			if _, err := w.conn.Write(f); err != nil {
				break // it stopped reading
			}
		}
		n := h.server.Stats().InFlightRequests
		require.LessOrEqual(h, n, 2*hostileLimits.InFlight)
		require.NoError(h, w.conn.Close())
	}},
	{"vanishes", "thirty clients that wait at the tail and are never heard of again", func(h *house) {
		for range 30 {
			w := h.open()
			w.send(&codec.Fetch{TopicPartition: tp0, Offset: h.end(0), MaxBytes: 1, MaxWait: 60_000})
			w.subscribeLater(codec.Subscribe{TopicPartition: tp0, Offset: h.end(0), Credit: 100})
		} // no FIN, no reset: they are let go when they were idle for too long
		h.letGo(2)
	}},
	{"leaves in the middle of everything", "produces, fetches and subscribes, and resets the connection", func(h *house) {
		for range 30 {
			w := h.open()
			for range 10 {
				w.send(&codec.Produce{TopicPartition: tp0, Batch: batchOf(h, 0, string(make([]byte, 10_000)))})
				w.send(&codec.Fetch{TopicPartition: tp0, Offset: h.end(0), MaxBytes: 1 << 20, MaxWait: 60_000})
				w.send(&codec.Subscribe{TopicPartition: tp0, Offset: h.end(0), Credit: 1 << 20})
			}
			require.NoError(h, w.conn.(*net.TCPConn).SetLinger(0))
			require.NoError(h, w.conn.Close())
		}
	}},
	{"the largest wait", "a long poll of 24 days is a short one", func(h *house) {
		w := h.open()
		before := time.Now()
		w.call(&codec.Fetch{TopicPartition: tp0, Offset: h.end(0), MaxBytes: 1, MaxWait: 1<<31 - 1}, &codec.Fetched{})
		require.Less(h, time.Since(before), 10*time.Second)
	}},
	{"idle", "says HELLO and then nothing", func(h *house) { h.open().told(0, codec.TimedOut, "no request for 2s") }},
}

// subscribeLater sends and does not wait for the answer.
func (w *wire) subscribeLater(q codec.Subscribe) { w.send(&q) }
