package member

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ours, theirs = codec.UUID{1}, codec.UUID{2}

// notes are what was logged.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) log(event string, fields ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, event+" "+strings.TrimSpace(fmt.Sprintln(fields...)))
}

func (n *notes) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.all, "\n")
}

// show is who is here as m sees it, in short.
func show(m *Members) string {
	var all []string
	for _, one := range m.Members() {
		all = append(all, string(one.Node)+" "+string(one.Status))
	}
	return strings.Join(all, ", ")
}

// town is members on one network in memory, in a bubble.
type town struct {
	*testing.T
	net   *memnet
	known []string
	all   []*Members
}

func (s *town) start(n int, ip string, change func(*Config)) *Members {
	s.Helper()
	c := Config{
		Node: codec.NodeID(fmt.Sprintf("n%d", n)), Cluster: ours, Disk: codec.UUID{15: byte(n)}, Link: fmt.Sprintf("link of n%d", n),
		Known:     func() []string { return s.known },
		transport: func() (memberlist.Transport, error) { return s.net.host(ip), nil },
	}
	if change != nil {
		change(&c)
	}
	m, err := Start(c)
	require.NoError(s, err)
	s.all = append(s.all, m)
	return m
}

func play(t *testing.T, do func(*town)) {
	synctest.Test(t, func(t *testing.T) {
		s := &town{T: t, net: newMemnet(1), known: []string{"10.0.0.1:9652", "10.0.0.2:9652", "10.0.0.3:9652"}}
		defer func() {
			for _, m := range s.all {
				m.Close()
			}
			time.Sleep(time.Minute) // what memberlist has begun ends with its time
		}()
		do(s)
	})
}

// until passes virtual time.
func (s *town) until(m *Members, want string, within time.Duration) {
	s.Helper()
	begun := time.Now()
	for show(m) != want {
		if time.Since(begun) > within {
			require.Equal(s, want, show(m), "after %s", within)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

const allAlive = "n1 alive, n2 alive, n3 alive"

// Members find each other by addresses that are known, lose one and find it again.
func TestWhoIsHere(t *testing.T) {
	play(t, func(s *town) {
		changes := make(chan struct{}, 1000)
		one := s.start(1, "10.0.0.1", func(c *Config) { c.Changed = func() { changes <- struct{}{} } })
		two, three := s.start(2, "10.0.0.2", nil), s.start(3, "10.0.0.3", nil)
		for _, m := range []*Members{one, two, three} {
			s.until(m, allAlive, 15*time.Second)
		}
		require.NotEmpty(s, changes)
		at := one.Members()[2]
		require.Equal(s, Member{"n3", "10.0.0.3:9652", "link of n3", codec.UUID{15: 3}, Alive, at.Since}, at)
		require.LessOrEqual(s, time.Since(at.Since), 15*time.Second)

		s.net.set(func() { s.net.cut["10.0.0.3:9652"] = true })
		s.until(one, "n1 alive, n2 alive, n3 failed", 15*time.Second)
		s.until(three, "n1 failed, n2 failed, n3 alive", 30*time.Second)
		time.Sleep(10 * time.Minute)
		s.net.set(func() { delete(s.net.cut, "10.0.0.3:9652") })
		for _, m := range []*Members{one, two, three} {
			s.until(m, allAlive, 30*time.Second)
		}
		require.NoError(s, three.Leave())
		three.Close()
		s.until(one, "n1 alive, n2 alive, n3 left", 5*time.Second)
	})
}

// With packets that are lost the members stay.
func TestLostPackets(t *testing.T) {
	play(t, func(s *town) {
		s.net.loss = 0.1
		one := s.start(1, "10.0.0.1", nil)
		s.start(2, "10.0.0.2", nil)
		s.start(3, "10.0.0.3", nil)
		s.until(one, allAlive, 30*time.Second)
		for range 300 {
			time.Sleep(time.Second)
			require.Equal(s, allAlive, show(one))
		}
	})
}

// A node that comes back with another address is found there, soon after it was lost.
func TestANodeMoves(t *testing.T) {
	play(t, func(s *town) {
		one := s.start(1, "10.0.0.1", nil)
		two := s.start(2, "10.0.0.2", nil)
		three := s.start(3, "10.0.0.3", nil)
		s.until(one, allAlive, 15*time.Second)
		s.until(two, allAlive, 15*time.Second)
		three.Close()
		s.until(one, "n1 alive, n2 alive, n3 failed", 15*time.Second)
		s.start(3, "10.0.0.33", nil)
		s.until(one, allAlive, time.Minute)
		require.Equal(s, "10.0.0.33:9652", one.Members()[2].Gossip)
	})
}

// A Serf that stops is built anew, and who asks meanwhile does not wait.
func TestAStoppedSerfIsBuiltAnew(t *testing.T) {
	play(t, func(s *town) {
		var n notes
		one := s.start(1, "10.0.0.1", func(c *Config) { c.Log = n.log })
		s.start(2, "10.0.0.2", nil)
		s.start(3, "10.0.0.3", nil)
		s.until(one, allAlive, 15*time.Second)
		require.NoError(s, one.current().Shutdown())
		synctest.Wait()
		s.until(one, allAlive, time.Minute)
		require.Contains(s, n.text(), "gossip has stopped, and is begun anew")
	})
}

// Brokers of another cluster, and one with a name that is here, stay strangers.
func TestStrangers(t *testing.T) {
	play(t, func(s *town) {
		var n notes
		one := s.start(1, "10.0.0.1", nil)
		two := s.start(2, "10.0.0.2", func(c *Config) { c.Cluster, c.Log = theirs, n.log })
		time.Sleep(2 * time.Minute)
		require.Equal(s, "n1 alive", show(one))
		require.Equal(s, "n2 alive", show(two))
		require.Contains(s, n.text(), "members cannot be reached by gossip")
	})
	g := guard{&Config{Node: "n1", Cluster: ours, Disk: codec.UUID{15: 1}}}
	good := map[string]string{tagCluster: ours.String(), tagDisk: codec.UUID{15: 2}.String()}
	require.NoError(t, g.refusal("n2", good))
	require.ErrorContains(t, g.refusal("n1", good), "is node \"n1\" as well")
	require.ErrorContains(t, g.refusal("n2", map[string]string{tagCluster: theirs.String()}), fmt.Sprintf("is of cluster %q", theirs.String()))
	require.Error(t, g.refusal("n2", map[string]string{tagCluster: ours.String()}))
	require.Error(t, g.refusal("n2", nil))
}

// keyring is one of a file with keys.
func keyring(t *testing.T, lines ...string) *Keyring {
	t.Helper()
	name := filepath.Join(t.TempDir(), "gossip.key")
	require.NoError(t, os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600))
	k, err := ReadKeyring(name)
	require.NoError(t, err)
	return k
}

// Who has another key, or none, is not heard, and is told what to do; keys can be
// changed one broker after the other.
func TestKeys(t *testing.T) {
	old, fresh := NewKey(), NewKey()
	for _, c := range []struct {
		one, two *Keyring
		says     string // empty: they meet
	}{
		{keyring(t, old), keyring(t, old), ""},
		{keyring(t, old), keyring(t, "# new", fresh), "has other keys of the gossip"},
		{keyring(t, old), nil, "encrypts its gossip, and this broker has no key"},
		{keyring(t, old, fresh), keyring(t, fresh, old), ""},
	} {
		play(t, func(s *town) {
			var n notes
			one := s.start(1, "10.0.0.1", func(c2 *Config) { c2.Keyring = c.one; c2.Known = func() []string { return nil } })
			s.start(2, "10.0.0.2", func(c2 *Config) { c2.Keyring, c2.Log = c.two, n.log })
			time.Sleep(time.Minute)
			if c.says == "" {
				require.Equal(s, "n1 alive, n2 alive", show(one))
				return
			}
			require.Equal(s, "n1 alive", show(one))
			require.Contains(s, n.text(), c.says)
		})
	}
	for _, wrong := range []string{"", "# none", "abc", "c2hvcnQ=", old + "\n!"} {
		_, err := parseKeyring([]byte(wrong))
		require.Error(t, err, wrong)
		require.NotContains(t, err.Error(), old)
	}
}

// Two on real sockets of this machine, at ports that were free.
func TestOnRealSockets(t *testing.T) {
	start := func(n string, known ...string) *Members {
		m, err := Start(Config{Node: codec.NodeID(n), Cluster: ours, Disk: codec.UUID{15: n[1]}, Bind: "127.0.0.1:0", Known: func() []string { return known }})
		require.NoError(t, err)
		t.Cleanup(m.Close)
		return m
	}
	one := start("n1")
	two := start("n2", one.Address())
	met := func(m *Members) func() bool { return func() bool { return show(m) == "n1 alive, n2 alive" } }
	require.Eventually(t, met(one), 30*time.Second, 10*time.Millisecond)
	require.Eventually(t, met(two), 30*time.Second, 10*time.Millisecond)
	begun := time.Now()
	require.NoError(t, two.Leave())
	require.Less(t, time.Since(begun), 3*time.Second)
	two.Close()
	require.Eventually(t, func() bool { return show(one) == "n1 alive, n2 left" }, 30*time.Second, 10*time.Millisecond)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	_, err = Start(Config{Node: "n3", Cluster: ours, Bind: l.Addr().String()})
	require.ErrorContains(t, err, "address already in use")
}
