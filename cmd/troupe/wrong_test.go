package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// wrong is a call and what a person sees of it: one line, and an exit code.
type wrong struct {
	args string // {at} stands for an address
	code int
	says string // whole, or a part when it begins or ends with …
}

func (w wrong) check(t *testing.T, at string) {
	t.Helper()
	fill := strings.NewReplacer("{at}", at).Replace
	r := command("one\n", strings.Fields(fill(w.args))...)
	require.Error(t, r.failed, w.args)
	require.Equal(t, w.code, r.code, "%s: %v", w.args, r.failed)
	require.Empty(t, r.out, w.args)
	require.Empty(t, r.err, "the line is main's to print")
	want, got := fill(w.says), oneLine(r.failed)
	if part := strings.Trim(want, "…"); part != want {
		require.Contains(t, got, part, w.args)
		return
	}
	require.Equal(t, want, got, w.args)
}

func TestWhatABrokerRefuses(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "t", "--partitions", "2")
	const list = ": troupe topic list shows those there are, troupe topic create makes one"
	for _, w := range []wrong{
		{"produce nope", 1, `UNKNOWN_TOPIC: there is no topic "nope": create it first: --create creates it` + list},
		{"consume nope", 1, `UNKNOWN_TOPIC: there is no topic "nope": create it first` + list},
		{"topic describe nope", 1, `UNKNOWN_TOPIC: there is no topic "nope": create it first` + list},
		{"topic alter nope --partitions 2", 1, `UNKNOWN_TOPIC: no topic "nope"` + list},
		{"topic trim nope --before newest", 1, `UNKNOWN_TOPIC: there is no topic "nope": create it first` + list},
		{"topic describe T", 1, `UNKNOWN_TOPIC: there is no topic "T": create it first: did you mean t? troupe topic list shows those there are, troupe topic create makes one`},
		{"topic delete nope", 1, `UNKNOWN_TOPIC: no topic "nope"` + list},
		{"topic create t", 1, "TOPIC_EXISTS: topic t exists: troupe topic describe shows it, troupe topic alter changes it"},
		{"topic create a/b", 1, `INVALID_TOPIC: topic name "a/b" has '/': only a-z A-Z 0-9 . _ - are allowed`},
		{"topic create __mine", 1, `INVALID_TOPIC: topic name "__mine": names that begin with __ belong to the broker`},
		{"produce a/b --create", 1, "…INVALID_TOPIC: topic name \"a/b\" has '/'…"},
		{"topic create u --set colour=red", 1, `INVALID_SETTING: no setting "colour": allowed are cleanup, durability, message.bytes.max, retention.bytes, retention.time, segment.bytes`},
		{"topic create u --set durability=maybe", 1, `INVALID_SETTING: durability="maybe": allowed is fsync, os (one replica only)`},
		{"topic alter t --set segment.bytes=1KiB", 1, `INVALID_SETTING: segment.bytes="1KiB": allowed is a size from 1MiB to 1GiB`},
		{"topic create u --replicas 3", 1, "INVALID_ARGUMENT: 3 replicas: want 1 to 1, for so many brokers are active"},
		{"topic create u --partitions 2000000", 1, "INVALID_ARGUMENT: 2000000 partitions: want 1 to …"},
		{"topic alter t --partitions 1", 1, "INVALID_ARGUMENT: 1 partitions: topic t has 2, and their number only grows"},
		{"topic trim t --before newest --partition 7", 1, `UNKNOWN_PARTITION: topic "t" has no partition 7: it has 2, counted from 0`},
		{"produce t --partition 2", 1, `UNKNOWN_PARTITION: topic "t" has no partition 2: it has 2, counted from 0`},
		{"consume t --partition 2", 1, `UNKNOWN_PARTITION: topic "t" has no partition 2: it has 2, counted from 0`},
		{"consume t --from offset:1", 1, "OFFSET_OUT_OF_RANGE: --from offset:1: t/0 holds the offsets [0, 0); --partition chooses another"},
		{"bench produce --topic t --partitions 3", 1, "t has 2 partitions, --partitions asks for 3: give it more with: troupe topic alter t --partitions 3"},
		{"bench produce --topic t --partitions 2 --batch-bytes 2000000", 2, "--batch-bytes 2000000: t takes at most 1048576 (message.bytes.max)"},
		{"bench consume --topic t --partitions 2", 1, "bench consume: t holds no records: fill it with: troupe bench produce --topic t"},
		{"bench consume --topic nope", 1, `UNKNOWN_TOPIC: there is no topic "nope": create it first` + list},
		{"bench produce --batch-bytes 5000000", 1, "INVALID_SETTING: message.bytes.max=\"5000000\": allowed is …"},
	} {
		w.args += " --server {at}"
		w.check(t, s.address)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, w := range []wrong{
		{"nope", 2, `unknown command "nope" for "troupe": see troupe --help`},
		{"prodcue t", 2, `unknown command "prodcue" for "troupe": did you mean produce? See troupe --help`},
		{"topic desc t", 2, `unknown command "desc" for "troupe topic": did you mean describe? See troupe topic --help`},
		{"group list", 2, "troupe group: not yet: there are no consumer groups: a consumer keeps its own position, see troupe consume --from"},
		{"completion tcsh", 2, `unknown command "tcsh" for "troupe completion": see troupe completion --help`},
		{"serve --join n1", 2, "--join \"n1\": want HOST:PORT of a broker's link, such as 127.0.0.1:9651, or several with commas between them"},
		{"serve --tls-cert f", 2, "--tls-key, --tls-ca is missing: TLS wants --tls-cert, --tls-key and --tls-ca, see troupe certs"},
		{"serve --link 0.0.0.0:9651", 2, "--link 0.0.0.0:9651 does not say where others reach it: add --advertise-link HOST:PORT"},
		{"serve --listen 0.0.0.0:9650 --insecure --link 127.0.0.1:9651", 2, "--listen 0.0.0.0:9650 does not say where clients reach this broker, and the others of its cluster have to send them to it: add --advertise HOST:PORT"},
		{"serve --link 10.0.0.1:9651", 2, "--link 10.0.0.1:9651 can be reached by others: give --tls-cert, --tls-key and --tls-ca (see troupe certs), use 127.0.0.1, or say --insecure"},
		{"serve --gossip 127.0.0.1:9652", 2, "--gossip without a link: add --link HOST:PORT, or --join"},
		{"serve --dta x", 2, "unknown flag: --dta: did you mean --data? See troupe serve --help"},
		{"topic nope", 2, `unknown command "nope" for "troupe topic": see troupe topic --help`},
		{"produce", 2, "accepts 1 arg(s), received 0: see troupe produce --help"},
		{"consume a b", 2, "accepts 1 arg(s), received 2: see troupe consume --help"},
		{"consume t --colour red", 2, "unknown flag: --colour: see troupe consume --help"},
		{"consume t -o yaml", 2, `-o "yaml": want text or json`},
		{"log dump d -o text", 2, `-o "text": an entry is shown as json`},
		{"consume t --from yesterday", 2, "--from yesterday: want oldest, newest, offset:N, time:T (such as time:2026-01-31T15:04:05Z) or a time ago such as -10m"},
		{"consume t --from offset:x", 2, "--from offset:x: want a number from 0, such as offset:1000"},
		{"consume t --from time:noon", 2, "--from time:noon: want a time of RFC 3339, …"},
		{"consume t --to later", 2, "--to later: want oldest, …"},
		{"consume t --follow --to newest", 2, "--follow with --to newest: only --to offset:N can be waited for"},
		{"consume t --group g", 2, "--group g: there are no consumer groups yet: leave it out, and give the position with --from"},
		{"consume t --format {{.Colour}}", 2, "…can't evaluate field Colour in type main.templated: want a Go template over Topic, Partition, Offset, Timestamp, Key, Value and Headers"},
		{"consume t --format {{", 2, "--format: template: …"},
		{"consume t --format {{.Key}} -o json", 2, "--format and -o json: give one of them"},
		{"consume t --max 0", 2, "--max 0: want 1 or more"},
		{"consume t --partition -2", 2, "--partition -2: want 0 or more"},
		{"produce t --partition -1", 2, "--partition -1: want 0 or more"},
		{"produce t --header novalue", 2, `--header "novalue": want k=v`},
		{"produce t --header k\xff=v", 2, `--header "k\xff=v": its key is not UTF-8`},
		{"topic create t --partitions 0", 2, "--partitions 0: want 1 or more"},
		{"topic create t --replicas -1", 2, "--replicas -1: want 1 or more"},
		{"topic create t --set novalue", 2, `--set "novalue": want key=value, such as retention.time=7d`},
		{"topic alter t", 2, "nothing to change: give --set key=value, --partitions or --replicas; see troupe topic alter --help"},
		{"topic trim t", 2, "say what to trim: --before offset:N or --before time:T"},
		{"topic trim t --before noon", 2, "--before noon: want oldest, …"},
		{"topic list --server here", 2, `--server "here": want HOST:PORT, such as 127.0.0.1:9650, or several with commas between them`},
		{"topic list --server 127.0.0.1:1,", 2, `--server "127.0.0.1:1,": want HOST:PORT, …`},
		{"bench produce --in-flight 0", 2, "--in-flight 0: want 1 or more"},
		{"bench produce --in-flight 6 --idempotent", 2, "--in-flight 6 with --idempotent: want 1 to 5, for a log remembers as many batches of a producer"},
		{"bench produce --partitions 0", 2, "--partitions 0: want 1 or more"},
		{"bench produce --connections 0", 2, "--connections 0: want 1 or more"},
		{"bench produce --records 0", 2, "--records 0: want 1 or more"},
		{"bench produce --duration 0s", 2, "--duration 0s: want more than 0s"},
		{"bench produce --duration ten", 2, `invalid argument "ten" for "--duration" flag: …`},
		{"bench produce --rate fast", 2, `--rate "fast": want records a second, such as 5000, or bytes, such as 50MB/s`},
		{"bench produce --record-size 65536", 2, "--record-size 65536: want 0 to --batch-bytes 65536 less 128"},
		{"bench produce --compression rar", 2, `--compression "rar": want none, gzip, snappy, lz4 or zstd`},
		{"bench produce --durability maybe", 2, `--durability "maybe": want fsync or os`},
		{"bench produce --topic t --durability os", 2, "--durability with --topic: that topic has one; change it with: troupe topic alter t --set durability=os"},
		{"bench consume --hgrm f", 2, "--hgrm f: a backlog has no latencies"},
		{"bench latency --record-size 8", 2, "--record-size 8: want 16 or more, for the time is in it"},
		{"bench latency --rate 0", 2, `--rate "0": want …`},
	} {
		w.check(t, "")
	}
}

func TestNoBroker(t *testing.T) {
	here, there := closedPort(t), closedPort(t)
	for _, verb := range []string{"topic list", "topic create t", "produce t", "consume t", "bench produce", "bench consume", "bench latency"} {
		wrong{verb + " --server {at}", 1, "no broker answers at {at}: is one running? start one with: troupe serve --data DIR"}.check(t, here)
	}
	wrong{"topic list --server {at}", 1, "no broker answers at " + here + ", " + there + ": is one running? start one with: troupe serve --data DIR"}.check(t, here+","+there)

	t.Setenv("TROUPE_SERVER", here)
	wrong{"topic list", 1, "no broker answers at " + here + ": is one running? start one with: troupe serve --data DIR"}.check(t, "")
	s := newStage(t)
	s.do("", "topic", "list") // the flag wins
	t.Setenv("TROUPE_SERVER", here+", "+s.address)
	require.NoError(t, command("", "topic", "list").failed, "the second answers")
	t.Setenv("TROUPE_SERVER", "here")
	wrong{"topic list", 2, `TROUPE_SERVER "here": want HOST:PORT, such as 127.0.0.1:9650, or several with commas between them`}.check(t, "")
}

// What answers is not a broker.
func TestAStrangerAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			_ = c.Close()
		}
	}()
	wrong{"topic list --server {at}", 1, "no broker answers at {at}: …"}.check(t, l.Addr().String())
	wrong{"topic list --server {at}", 1, "…is it a broker?"}.check(t, l.Addr().String())
	require.NoError(t, l.Close())
	<-ended
}

// refused runs serve, which must not begin.
func refused(t *testing.T, code int, says string, args ...string) {
	t.Helper()
	err := run(context.Background(), append([]string{"serve", "--http", "", "--log-level", "error"}, args...), strings.NewReader(""), io.Discard, io.Discard)
	require.ErrorContains(t, err, says)
	require.Equal(t, code, exitCode(err))
}

func TestWhatServeRefuses(t *testing.T) {
	dir := t.TempDir()
	refused(t, 2, "--listen 0.0.0.0:9650 can be reached by others, without TLS and without showing who they are: use 127.0.0.1, give --tls-cert, --tls-key and --tls-ca (see troupe certs), or say --insecure", "--data", dir, "--listen", "0.0.0.0:9650")
	refused(t, 2, "--listen :9650 can be reached by others", "--data", dir, "--listen", ":9650")
	refused(t, 2, "--http 10.0.0.1:80 can be reached by others", "--data", dir, "--http", "10.0.0.1:80")
	refused(t, 2, `--listen "here": want HOST:PORT, such as 127.0.0.1:9650`, "--data", dir, "--listen", "here")
	refused(t, 2, `--log-level "loud": want error, warn, info, debug or trace`, "--data", dir, "--log-level", "loud")
	refused(t, 2, `--log-format "xml": want text or json`, "--data", dir, "--log-format", "xml")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, files, "nothing was begun")
}

// Two brokers on one machine: the second says what to choose.
func TestAnAddressThatIsTaken(t *testing.T) {
	s := metricsStage(t, serveConfig{})
	refused(t, 1, "bind: address already in use: does a broker run there already? Choose another with --listen HOST:PORT", "--data", t.TempDir(), "--listen", s.address)
	refused(t, 1, "bind: address already in use: does a broker run there already? Choose another with --http HOST:PORT, or --http= for none", "--data", t.TempDir(), "--http", s.node.http.address.String())
}

func TestAConfigurationIsRefusedByLine(t *testing.T) {
	dir := t.TempDir()
	for content, says := range map[string]string{
		"node: n1\n\n# a comment\ndta: /x\n": `line 4: there is no setting "dta"; the settings are the flags of troupe serve`,
		"node: n1\nnode: n2\n":               "line 2: ",
		"node: [\n":                          "line 1",
		"insecure: perhaps\n":                "line 1: ",
	} {
		name := filepath.Join(dir, "troupe.yaml")
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
		refused(t, 2, says, "--config", name)
	}
	refused(t, 1, "read configuration: open ", "--config", filepath.Join(dir, "absent.yaml"))
}

func TestADirectoryThatIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	s := stageOn(t, dir)
	refused(t, 1, "lock", "--data", dir, "--listen", "127.0.0.1:0")
	require.NoError(t, s.node.stop())
	*s.node = node{}
	refused(t, 1, "n2", "--data", dir, "--node", "n2", "--listen", "127.0.0.1:0")
	refused(t, 1, "n1", "--data", dir, "--node", "n2", "--listen", "127.0.0.1:0")
	require.Equal(t, codec.NodeID("n1"), stageOn(t, dir).node.identity.Node, "and it still opens under its own name")
}
