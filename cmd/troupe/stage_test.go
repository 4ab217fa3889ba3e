package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// asTroupe makes the test binary the command itself, for what only a process
// shows.
const asTroupe = "TROUPE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asTroupe) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// stage is a broker and where it listens.
type stage struct {
	*testing.T
	node    *node
	dir     string
	address string
}

// said is what came of a command.
type said struct {
	out, err string
	failed   error
	code     int
}

func quiet() *logrus.Logger {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return l
}

func newStage(t *testing.T) *stage { return stageOn(t, t.TempDir()) }

func stageOn(t *testing.T, dir string) *stage {
	t.Helper()
	n, err := startNode(context.Background(), serveConfig{Data: dir, Node: "n1", Listen: "127.0.0.1:0"}, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.stop()) })
	return &stage{T: t, node: n, dir: dir, address: n.listen.String()}
}

// command runs a command that needs no broker.
func command(in string, args ...string) said {
	var out, errs bytes.Buffer
	err := run(context.Background(), args, strings.NewReader(in), &out, &errs)
	return said{out.String(), errs.String(), err, exitCode(err)}
}

// try runs a command against the broker.
func (s *stage) try(in string, args ...string) said {
	return command(in, append(args, "--server", s.address)...)
}

// do is try for what must succeed; it returns standard output.
func (s *stage) do(in string, args ...string) string {
	s.Helper()
	r := s.try(in, args...)
	require.NoError(s, r.failed, "troupe %s", strings.Join(args, " "))
	return r.out
}

// client is a connection to the broker.
func (s *stage) client() *client.Client {
	s.Helper()
	c, err := client.Dial(context.Background(), []string{s.address}, client.Options{})
	require.NoError(s, err)
	s.Cleanup(c.Close)
	return c
}

// store puts records into a partition, one batch each.
func (s *stage) store(topic codec.Topic, p codec.Partition, records ...codec.Record) {
	s.Helper()
	c := s.client()
	for _, r := range records {
		var b codec.Builder
		b.Append(r.Timestamp, r.Key, r.Value, r.Headers)
		batch, err := b.Build(codec.NoCompression)
		require.NoError(s, err)
		done := make(chan error, 1)
		require.NoError(s, c.ProduceBatch(context.Background(), codec.TopicPartition{Topic: topic, Partition: p}, batch, func(_ codec.Produced, err error) { done <- err }))
		require.NoError(s, <-done)
	}
}

// fromJSON reads objects, one a line.
func fromJSON[T any](t testing.TB, lines string) []T {
	t.Helper()
	var all []T
	d := json.NewDecoder(strings.NewReader(lines))
	d.DisallowUnknownFields()
	for d.More() {
		var v T
		require.NoError(t, d.Decode(&v))
		all = append(all, v)
	}
	return all
}

// closedPort is an address where nobody listens.
func closedPort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// accessLog is so many lines like those of a web server.
func accessLog(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "83.149.%d.%d - - [17/May/2015:10:%02d:%02d +0000] \"GET /presentations/%d.html?q=%%22<&>%%22 HTTP/1.1\" %d %d \"-\" \"Mozilla/5.0 (%s)\"\n",
			i%251, i%7, i/60%60, i%60, i, 200+i%3*100, i*37%200000, strings.Repeat("x", i%200))
	}
	return b.String()
}

var airports = strings.Fields("ATL BWI CLT DEN DFW DTW EWR FLL HNL IAH JFK LAS LAX MCO MDT MHT MIA MSP OAK ORD PHL PHX SAN SEA SFO SLC TPA")

// flight is line i of a file of flights, and where it starts.
func flight(i int) (origin, line string) {
	origin = airports[i*i%len(airports)]
	return origin, fmt.Sprintf(`{"date": "2001/01/%02d %02d:%02d", "delay": %d, "distance": %d, "origin": %q, "destination": %q}`,
		1+i/1440%31, i/60%24, i%60, i%90-20, 200+i*13%2500, origin, airports[(i+5)%len(airports)])
}
