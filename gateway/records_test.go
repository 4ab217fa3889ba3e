package gateway

import (
	"bytes"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// openMax is what a batch may become in these tests.
const openMax = 8 << 20

// poisoned is a batch at base whose head is right and whose records are not.
func poisoned(t *testing.T, base codec.Offset) codec.Batch {
	t.Helper()
	b := batchOf(t, codec.Zstd, string(bytes.Repeat([]byte("again "), 500)), "b", "c")
	require.Equal(t, codec.Zstd, b.Compression())
	for i := codec.BatchHeaderBytes; i < len(b); i++ {
		b[i] = 0xee
	}
	sum := codec.CRC32C(b[21:])
	b[17], b[18], b[19], b[20] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
	require.NoError(t, b.Verify(0), "the door does not open what is compressed")
	b.Stamp(base, 1)
	return b
}

func TestAPoisonedBatchCanBeSteppedOver(t *testing.T) {
	good := batchOf(t, codec.NoCompression, "x", "y")
	bad := poisoned(t, 2)
	log := append(append([]byte{}, good...), bad...)

	records, err := decodeRecords(log, 1, 1<<20, openMax)
	require.NoError(t, err, "what is before it comes first")
	require.Len(t, records, 1)
	_, err = decodeRecords(bad, 2, 1<<20, openMax)
	require.ErrorIs(t, err, codec.E(codec.CorruptBatch))
	require.ErrorContains(t, err, "the batch at offset 2 cannot be decoded")
	require.ErrorContains(t, err, "go on at offset 5")
}

func TestDecodedRecordsStayWithinBounds(t *testing.T) {
	values := make([]string, 1000)
	for i := range values {
		values[i] = "0123456789"
	}
	log := batchOf(t, codec.LZ4, values...)
	records, err := decodeRecords(log, 10, 1000, openMax)
	require.NoError(t, err)
	require.Equal(t, codec.Offset(10), records[0].Offset)
	require.InDelta(t, 20, len(records), 10)
	records, err = decodeRecords(log, 0, 1, openMax)
	require.NoError(t, err)
	require.Len(t, records, 1)
}

// A small batch that becomes large costs no more than an answer may hold.
func TestABatchThatBecomesTooLargeIsNotOpened(t *testing.T) {
	log := batchOf(t, codec.Zstd, string(bytes.Repeat([]byte("again "), 5000)))
	_, err := decodeRecords(log, 0, 1<<20, 10_000)
	require.ErrorContains(t, err, "become more than 10000): go on at offset 1")
	_, err = decodeRecords(log, 0, 1<<20, 100_000)
	require.NoError(t, err)
}

// Headers are values too: an answer never has more than a frame may hold.
func TestAnAnswerOfRecordsCanBeRead(t *testing.T) {
	var b codec.Builder
	for range 50_000 {
		b.Append(1, nil, nil, make([]codec.Header, 8))
	}
	log, err := b.Build(codec.NoCompression)
	require.NoError(t, err)
	records, err := decodeRecords(log, 0, 64<<20, openMax)
	require.NoError(t, err)
	require.Len(t, records, valuesMax/(6+3*8))
	frame := codec.EncodeResponse(nil, 7, &codec.Fetched{Mode: codec.FetchRecords, Records: records}).Bytes()
	_, err = codec.ParseEnvelope(frame[4:])
	require.NoError(t, err)

	b.Reset()
	b.Append(1, nil, nil, make([]codec.Header, valuesMax/3))
	b.Append(1, nil, []byte("behind"), nil)
	log, err = b.Build(codec.NoCompression)
	require.NoError(t, err)
	_, err = decodeRecords(log, 0, 64<<20, openMax)
	require.EqualError(t, err, "RECORD_TOO_LARGE: the record at offset 0 has 349520 headers, more than an answer may hold: go on at offset 1")
	records, err = decodeRecords(log, 1, 64<<20, openMax)
	require.NoError(t, err)
	require.Len(t, records, 1)
}

func TestBuffersAreUsedAgainUpToABound(t *testing.T) {
	giveBuffer(nil)
	giveBuffer(&buffer{make([]byte, 10)})
	giveBuffer(&buffer{make([]byte, 32<<20)})
	require.LessOrEqual(t, cap(takeBuffer(64<<20).b), 16<<20)
	giveBuffer(&buffer{make([]byte, 70_000)})
	b := takeBuffer(65_536)
	require.True(t, cap(b.b) == 0 || cap(b.b) >= 65_536, "one that is there is large enough")
}

func TestServeOnAListenerOfOnesOwn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := New(newFakeBroker("t", 1), Options{})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	open(t, l.Addr().String()).call(&codec.Ping{}, &codec.Empty{})
	require.NoError(t, s.Close(t.Context()))
	require.NoError(t, <-done)
	require.ErrorIs(t, s.Serve(l), codec.E(codec.Stopping))
}
