package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// crowd is brokers of this machine that are started and stopped one by one.
type crowd struct {
	*testing.T
	dir   string
	join  string
	links map[string]string // by name
	doors map[string]string
	more  []string // flags for all
}

func newCrowd(t *testing.T, names ...string) *crowd {
	c := &crowd{T: t, dir: t.TempDir(), links: map[string]string{}, doors: map[string]string{}}
	var all []string
	for _, n := range names {
		all = append(all, c.place(n))
	}
	c.join = strings.Join(all, ",")
	return c
}

// place gives a broker its addresses.
func (c *crowd) place(name string) string {
	c.links[name], c.doors[name] = closedPort(c.T), closedPort(c.T)
	return c.links[name]
}

func (c *crowd) args(name string, more ...string) []string {
	all := []string{"serve", "--data", filepath.Join(c.dir, name), "--node", name, "--listen", c.doors[name], "--http", "", "--link", c.links[name]}
	return append(append(all, c.more...), more...)
}

// broker is `troupe serve` that may not be ready yet.
type broker struct {
	*testing.T
	cancel context.CancelFunc
	ready  chan string // the line; closed when it ends
	done   chan error
	log    *shared
}

// shared is a text that one goroutine writes and another reads.
type shared struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (c *crowd) start(name string, more ...string) *broker {
	ctx, cancel := context.WithCancel(context.Background())
	b := &broker{T: c.T, cancel: cancel, ready: make(chan string, 1), done: make(chan error, 1), log: &shared{}}
	out, w := io.Pipe()
	args := c.args(name, more...) // which the test may change meanwhile
	go func() {
		b.done <- run(ctx, args, strings.NewReader(""), w, b.log)
		_ = w.Close()
	}()
	go func() {
		defer close(b.ready)
		if line, err := bufio.NewReader(out).ReadString('\n'); err == nil {
			b.ready <- line
		}
	}()
	c.Cleanup(func() { b.stop() })
	return b
}

// founded starts all that have a place, and waits until they are one cluster.
func (c *crowd) founded() map[string]*broker {
	brokers := map[string]*broker{}
	for n := range c.links {
		brokers[n] = c.start(n, "--join", c.join)
	}
	for _, b := range brokers {
		b.isReady("cluster")
	}
	return brokers
}

const patience = time.Minute

// isReady waits for the line, and returns a field of it.
func (b *broker) isReady(field string) string {
	b.Helper()
	select {
	case line, ok := <-b.ready:
		if !ok {
			require.NoError(b, b.ends(), b.log.String())
			require.Fail(b, "it ended before it was ready", b.log.String())
		}
		return served{ready: line}.field(field)
	case <-time.After(patience):
		require.Fail(b, "not ready", b.log.String())
	}
	return ""
}

// ends waits for its end and returns why.
func (b *broker) ends() error {
	b.Helper()
	select {
	case err := <-b.done:
		b.done <- err
		return err
	case <-time.After(patience):
		require.Fail(b, "it goes on", b.log.String())
	}
	return nil
}

func (b *broker) stop() error {
	b.cancel()
	err := <-b.done
	b.done <- err
	return err
}

// logs waits until its log has a text.
func (b *broker) logs(text string) {
	b.Helper()
	require.Eventually(b, func() bool { return strings.Contains(b.log.String(), text) }, patience, 10*time.Millisecond, "%s", text)
}

func (c *crowd) all() string {
	var all []string
	for _, a := range c.doors {
		all = append(all, a)
	}
	return strings.Join(all, ",")
}

// Three brokers with the same flags are one cluster, which outlives each of them;
// a fourth joins it, with an empty directory and no more than an address.
func TestThreeBrokersFoundACluster(t *testing.T) {
	c := newCrowd(t, "n1", "n2", "n3")
	brokers := map[string]*broker{}
	for n := range c.links {
		brokers[n] = c.start(n, "--join", c.join)
	}
	id := brokers["n1"].isReady("cluster")
	require.Equal(t, id, brokers["n2"].isReady("cluster"))
	require.Equal(t, id, brokers["n3"].isReady("cluster"))

	require.NoError(t, command("", "topic", "create", "log", "--replicas", "3", "--server", c.all()).failed)
	text := accessLog(500)
	require.NoError(t, command(text, "produce", "log", "--server", c.all()).failed)
	begun := time.Now()
	require.NoError(t, brokers["n1"].stop())
	require.Less(t, time.Since(begun), 5*time.Second)
	require.NoError(t, command(text, "produce", "log", "--server", c.all()).failed)

	brokers["n1"] = c.start("n1", "--join", c.join)
	require.Equal(t, id, brokers["n1"].isReady("cluster"), "it goes on in its cluster")

	c.place("n4")
	four := c.start("n4", "--join", c.links["n2"])
	require.Equal(t, id, four.isReady("cluster"))
	require.NoError(t, four.stop())
	four = c.start("n4", "--join", c.links["n2"])
	require.Equal(t, id, four.isReady("cluster"))

	c.wellAgain()
	status := command("", "cluster", "status", "-o", "json", "--server", c.doors["n2"])
	require.NoError(t, status.failed)
	said := fromJSON[clusterStatus](t, status.out)[0]
	require.Equal(t, id, said.Cluster)
	require.Len(t, said.Nodes, 4)
	require.Equal(t, []string{"all is well: 4 brokers answer, 1 partition has its leader and its copies"}, said.Says)
	require.NoError(t, four.stop())
	status = command("", "cluster", "status", "--server", c.doors["n2"])
	require.Equal(t, 1, status.code)
	require.Contains(t, status.out, "broker n4 does not answer (no broker answers at "+c.doors["n4"])

	require.ErrorContains(t, command("", "cluster", "remove", "n1", "--server", c.doors["n2"]).failed, `node "n1" has a replica of log/0: move its replicas to other nodes first`)
	require.NoError(t, command("", "cluster", "remove", "n4", "--server", c.doors["n2"]).failed)
	require.Eventually(t, func() bool {
		return !strings.Contains(command("", "cluster", "nodes", "-o", "json", "--server", c.doors["n2"]).out, `"n4"`)
	}, patience, 100*time.Millisecond)
	c.wellAgain()
}

// wellAgain waits until status finds nothing wrong.
func (c *crowd) wellAgain() {
	c.Helper()
	require.Eventually(c, func() bool { return command("", "cluster", "status", "--server", c.all()).code == 0 }, patience, 200*time.Millisecond)
}

// A broker that founded alone lets others in when it has a link.
func TestABrokerAloneIsJoined(t *testing.T) {
	c := newCrowd(t, "n1", "n2", "n3")
	one := c.start("n1")
	id := one.isReady("cluster")
	two := c.start("n2", "--join", c.links["n1"])
	require.Equal(t, id, two.isReady("cluster"))
	three := c.start("n3", "--join", c.join) // its own is among them, and there is a cluster
	require.Equal(t, id, three.isReady("cluster"))
}

// Who only joins founds nothing: it waits, and says for whom.
func TestAJoinerWaits(t *testing.T) {
	c := newCrowd(t, "n1", "n2")
	two := c.start("n2", "--join", c.links["n1"])
	two.logs(fmt.Sprintf(`waits to be let into a cluster" for="%s (nobody listens there: connect: connection refused: start that broker, or correct --join`, c.links["n1"]))
	require.NoError(t, two.stop(), "it is stopped while it waits")
	two = c.start("n2", "--join", c.links["n1"])
	one := c.start("n1")
	require.Equal(t, one.isReady("cluster"), two.isReady("cluster"), "and what it left is no hindrance")
}

// What cannot be, is refused with what to do instead.
func TestWhoIsRefused(t *testing.T) {
	c := newCrowd(t, "n1", "n2", "n3", "lone")
	one := c.start("n1")
	id := one.isReady("cluster")
	lone := c.start("lone")
	other := lone.isReady("cluster")
	require.NoError(t, lone.stop())
	two := c.start("n2", "--join", c.links["n1"])
	two.isReady("cluster")

	used := c.start("lone", "--join", c.links["n1"])
	require.ErrorContains(t, used.ends(), fmt.Sprintf("belongs to cluster %s: ask %s: OTHER_CLUSTER: node \"n1\" is of cluster %s, and \"lone\" of %s: a broker joins with an empty data directory", other, c.links["n1"], id, other))

	c.place("x")
	namesake := c.start("x", "--node", "n2", "--join", c.links["n1"])
	require.ErrorContains(t, namesake.ends(), `the name "n2" is taken in this cluster: start that node with its own data directory, or this one with another name`)
	namesake = c.start("x", "--node", "n1", "--join", c.links["n1"])
	require.ErrorContains(t, namesake.ends(), `give one of the two a name and a data directory of its own`)
	odd := c.start("x", "--node", "a b", "--join", c.links["n1"])
	require.ErrorContains(t, odd.ends(), `--node: name "a b" has ' ': only a-z A-Z 0-9 . _ - are allowed`)
	key := filepath.Join(c.dir, "gossip.key")
	require.NoError(t, os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n"), 0o600))
	encrypts := c.start("x", "--gossip-key", key, "--join", c.links["n1"])
	require.ErrorContains(t, encrypts.ends(), "does not encrypt its gossip, and this one does: give all of them the same file with --gossip-key, or none")
	lone = c.start("lone")
	require.Equal(t, other, lone.isReady("cluster"))
	between := c.start("x", "--join", c.links["n1"]+","+c.links["lone"])
	require.ErrorContains(t, between.ends(), "the brokers of --join belong to two")
	require.NoError(t, lone.stop())
	renamed := c.start("x", "--join", c.links["n1"])
	require.Equal(t, id, renamed.isReady("cluster"), "after all that the directory can still be let in")
	again := c.start("x", "--link", closedPort(t), "--listen", closedPort(t), "--join", c.links["n1"])
	require.ErrorContains(t, again.ends(), "is a broker running on this directory?")
}

// Brokers that were given different lists do not found.
func TestDifferentListsAreRefused(t *testing.T) {
	c := newCrowd(t, "n1", "n2", "n3")
	one := c.start("n1", "--join", c.join)
	one.logs("waits to found a cluster")
	two := c.start("n2", "--join", c.links["n1"]+","+c.links["n2"])
	require.ErrorContains(t, two.ends(), "give all of them the same")
	require.NoError(t, one.stop())
	for _, n := range []string{"n1", "n2"} {
		require.NoFileExists(t, filepath.Join(c.dir, n, recordName))
	}
}

// A founding that was broken off goes on with the same record.
func TestAFoundingGoesOn(t *testing.T) {
	c := newCrowd(t, "n1", "n2")
	rec := record{Cluster: newUUID().String()}
	for _, n := range []string{"n1", "n2"} {
		dir := filepath.Join(c.dir, n)
		require.NoError(t, os.MkdirAll(dir, 0o750))
		disk, err := diskOf(osFS, dir, newUUID)
		require.NoError(t, err)
		rec.Members = append(rec.Members, party{Node: codec.NodeID(n), Link: c.links[n], Disk: disk.String()})
	}
	require.NoError(t, writeKept(osFS, filepath.Join(c.dir, "n1", recordName), rec))
	one := c.start("n1") // even without --join it does not found alone
	one.logs("a founding goes on")
	two := c.start("n2", "--join", c.join)
	require.Equal(t, rec.Cluster, one.isReady("cluster"))
	require.Equal(t, rec.Cluster, two.isReady("cluster"))
}

// A copy of a data directory whose broker lives is turned away, ends, and the others
// never go by what it says of itself: their letters would go to it.
func TestACopyOfALiveBrokerEnds(t *testing.T) {
	c := newCrowd(t, "n1", "n2", "n3")
	c.founded()
	require.NoError(t, command("", "topic", "create", "log", "--replicas", "3", "--server", c.all()).failed)
	c.wellAgain()
	require.NoError(t, os.CopyFS(filepath.Join(c.dir, "copy"), os.DirFS(filepath.Join(c.dir, "n2"))))
	c.place("copy")
	clone := c.start("copy", "--node", "n2") // it knows the others from its directory
	err := clone.ends()
	require.ErrorContains(t, err, `CLONE: node "n2" is another process, at `+c.links["n2"])
	require.ErrorContains(t, err, "stop one of the two")
	for _, n := range []string{"n1", "n3"} {
		known, err := readKept[map[codec.NodeID]string](osFS, filepath.Join(c.dir, n, peersName))
		require.NoError(t, err)
		require.Equal(t, c.links["n2"], (*known)["n2"], "where %s looks for it", n)
	}
	c.doors = map[string]string{"n1": c.doors["n1"], "n2": c.doors["n2"], "n3": c.doors["n3"]}
	c.wellAgain()
}

// A broker that was removed ends, whether it runs or is started again, though those that
// have let it go say nothing to it any more.
func TestARemovedBrokerEnds(t *testing.T) {
	c := newCrowd(t, "n1", "n2", "n3")
	brokers := c.founded()
	c.place("n4")
	brokers["n4"] = c.start("n4", "--join", c.links["n1"])
	brokers["n4"].isReady("cluster")
	require.NoError(t, command("", "cluster", "remove", "n4", "--server", c.doors["n2"]).failed)
	require.ErrorContains(t, brokers["n4"].ends(), `node "n4", which was removed from this cluster: start with an empty data directory`)
	again := c.start("n4") // without --join: it knows the others
	require.ErrorContains(t, again.ends(), `node "n4", which was removed from this cluster: start with an empty data directory`)
	c.doors = map[string]string{"n1": c.doors["n1"]}
	c.wellAgain()
	for _, n := range []string{"n1", "n2", "n3"} {
		require.NoError(t, brokers[n].stop())
	}
}

// All three brokers are started again, two of them at other addresses: the third is told
// both, and tells them of each other.
func TestTwoThatMoveFindEachOther(t *testing.T) {
	c := newCrowd(t, "n1", "n2", "n3")
	brokers := c.founded()
	require.NoError(t, command("", "topic", "create", "log", "--replicas", "3", "--partitions", "3", "--server", c.all()).failed)
	for range 2 {
		for n := range c.links {
			require.NoError(t, brokers[n].stop())
		}
		c.place("n1")
		c.place("n3")
		for n := range c.links {
			brokers[n] = c.start(n) // without --join: it knows where n2 is
		}
		for n := range c.links {
			brokers[n].isReady("cluster")
		}
	}
	c.wellAgain()
}
