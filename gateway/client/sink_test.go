package client

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

// sinkEnv makes the test binary a server that answers at once and stores
// nothing, so that the client's own time can be told apart.
const sinkEnv = "TROUPE_CLIENT_TEST_SINK"

// sink answers at once and keeps nothing: what is left is the way there. What
// is read of it is the same batch again and again, with offsets that go on.
type sink struct {
	*log
	batch codec.Batch
}

func newSink() sink {
	var w codec.Builder
	for range sinkRecords {
		w.Append(1, nil, make([]byte, 1024), nil)
	}
	b, err := w.Build(codec.NoCompression)
	if err != nil {
		panic(err)
	}
	return sink{batch: b}
}

// sinkRecords are in a batch of about 64 KiB.
const sinkRecords = 62

func (sink) MaxMessageBytes() int { return 1 << 20 }

func (sink) Produce(_ context.Context, _ codec.Batch, reply func(codec.Produced, error)) error {
	reply(codec.Produced{}, nil)
	return nil
}

func (sink) Bounds() (start, highWatermark codec.Offset, err error) { return 0, 1 << 40, nil }

func (s sink) Read(dst []byte, offset codec.Offset, maxBytes int) ([]byte, error) {
	for base := offset / sinkRecords * sinkRecords; ; base += sinkRecords {
		n := len(dst)
		dst = append(dst, s.batch...)
		codec.Batch(dst[n:]).Stamp(base, 1)
		if len(dst)+len(s.batch) > maxBytes {
			return dst, nil
		}
	}
}

type sinkBroker struct {
	*memory
	sink
}

func (b sinkBroker) Partition(codec.TopicPartition) (gateway.Partition, error) { return b.sink, nil }

// serveSink is the other process; it ends when its standard input does.
func serveSink() {
	s := gateway.New(sinkBroker{newMemory("t", 6), newSink()}, gateway.Options{})
	addr, err := s.Listen("127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(addr)
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = s.Close(context.Background())
}

// apart starts the sink as a process of its own.
func apart(b *testing.B) (address string) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), sinkEnv+"=1")
	in, err := c.StdinPipe()
	require.NoError(b, err)
	out, err := c.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, c.Start())
	b.Cleanup(func() { _ = in.Close(); _ = c.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(b, err)
	return strings.TrimSpace(line)
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reportCPU reports the client's processor time for each of n things.
func reportCPU(b *testing.B, began time.Duration, n int, of string) {
	spent := cpu(b) - began
	b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "cpu-ns/"+of)
}
