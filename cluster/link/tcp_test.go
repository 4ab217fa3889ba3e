package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
)

// real is a link on a TCP port of this machine, and what it was told.
type real struct {
	*Link
	address string
	got     chan string // small letters
	lost    chan codec.NodeID
}

// within is how long tests wait for what has to happen.
const within = 20 * time.Second

func start(t testing.TB, n codec.NodeID, address string, change func(*Config)) *real {
	t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	r := &real{address: l.Addr().String(), got: make(chan string, 100_000), lost: make(chan codec.NodeID, 1000)}
	c := Config{
		Self: Self{Cluster: ours, Node: n, Disk: codec.UUID{15: 1}, Address: r.address}, Listener: l,
		Hear: func(from codec.NodeID, p []byte) { r.got <- string(from) + ": " + string(p) },
		Lost: func(n codec.NodeID) { r.lost <- n },
	}
	if change != nil {
		change(&c)
	}
	r.Link = New(c)
	t.Cleanup(r.Close)
	return r
}

func wait[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(within):
		require.Fail(t, "waited for "+what)
	}
	return v
}

// until waits for what another goroutine does, and which nothing tells of.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, within, time.Millisecond, what)
}

func (r *real) upTo(t testing.TB, n codec.NodeID) {
	t.Helper()
	until(t, "a way to "+string(n), func() bool {
		for _, p := range r.Status().Peers {
			if p.Node == n && p.Control.State == Up && p.Bulk.State == Up {
				return true
			}
		}
		return false
	})
}

func (r *real) trouble(n codec.NodeID) string {
	for _, p := range r.Status().Peers {
		if p.Node == n {
			return p.Control.Trouble
		}
	}
	return ""
}

func (r *real) say(to codec.NodeID, s string) { r.Send(to, [][]byte{[]byte(s)}) }

// Letters of all sizes go through TCP, and come as they were.
func TestLettersByTCP(t *testing.T) {
	lettersArrive(t, nil)
}

func lettersArrive(t *testing.T, change func(*Config)) {
	one, two := start(t, "n1", "127.0.0.1:0", change), start(t, "n2", "127.0.0.1:0", func(c *Config) {
		if change != nil {
			change(c)
		}
	})
	one.SetPeers(map[codec.NodeID]string{"n2": two.address})
	one.upTo(t, "n2")
	rng := rand.New(rand.NewPCG(1, 2))
	var want [2][]string
	for i := range 3000 {
		var parts [][]byte
		for range 1 + rng.IntN(3) {
			n := rng.IntN(300)
			if rng.IntN(10) == 0 {
				n = rng.IntN(100_000)
			}
			parts = append(parts, bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, n))
		}
		parts[0] = append([]byte(strconv.Itoa(i)+" "), parts[0]...)
		lane := codec.LaneOf(parts)
		want[lane] = append(want[lane], "n1: "+string(bytes.Join(parts, nil)))
		one.Send("n2", parts)
		if i%100 == 0 {
			for one.Status().Peers[0].Bulk.QueuedBytes > 16<<20 {
				runtime.Gosched()
			}
		}
	}
	var at [2]int
	for range 3000 {
		got := wait(t, two.got, "a letter")
		lane := 0
		if at[0] == len(want[0]) || got != want[0][at[0]] {
			lane = 1
		}
		require.True(t, got == want[lane][at[lane]], "letter %d of lane %d", at[lane], lane)
		at[lane]++
	}
	require.Zero(t, one.Status().Peers[0].Control.Lost.Letters+one.Status().Peers[0].Bulk.Lost.Letters)
}

// A process whose sockets are closed by the system, in the midst of letters, is
// lost; one that is dialled through a proxy that goes on listening is not.
func TestResetsByTCP(t *testing.T) {
	one, two := start(t, "n1", "127.0.0.1:0", nil), start(t, "n2", "127.0.0.1:0", nil)
	one.SetPeers(map[codec.NodeID]string{"n2": two.address})
	two.SetPeers(map[codec.NodeID]string{"n1": one.address})
	one.upTo(t, "n2")
	two.upTo(t, "n1")
	for range 50 { // while they talk
		one.say("n2", "hello")
		one.Send("n2", [][]byte{make([]byte, 100_000)})
		two.crash()
		one.upTo(t, "n2")
	}
	until(t, "a letter behind all that", func() bool {
		one.say("n2", "end")
		select {
		case s := <-two.got:
			return s == "n1: end"
		default:
			return false
		}
	})
	require.Empty(t, one.lost)
	require.Empty(t, two.lost)
	until(t, "nothing to wait", func() bool {
		p := one.Status().Peers[0]
		return p.Control.QueuedBytes == 0 && p.Bulk.QueuedBytes == 0
	})

	two.SetPeers(nil) // the dead do not dial
	two.config.Listener.Close()
	began := time.Now()
	until(t, "the end of its connections", func() bool { two.crash(); return two.open() == 0 })
	require.Equal(t, codec.NodeID("n2"), wait(t, one.lost, "the loss of n2"))
	t.Logf("lost after %s", time.Since(began))
}

// crash resets all connections, as the system does at the end of a process.
func (r *real) crash() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		_ = c.raw.(*net.TCPConn).SetLinger(0) // it may have ended already
		c.raw.Close()
	}
}

func (r *real) open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// At an address where nobody listens nobody is lost; when somebody does, it is
// reached.
func TestAnAddressNobodyListensOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	one := start(t, "n1", "127.0.0.1:0", nil)
	one.SetPeers(map[codec.NodeID]string{"n2": address})
	until(t, "trouble", func() bool { return one.trouble("n2") == "nobody listens there: connect: connection refused" })
	start(t, "n2", address, nil)
	one.upTo(t, "n2")
	require.Empty(t, one.lost)
}

// A thousand connections that say nothing, or half of something, take a bounded
// number of descriptors and let a peer in beside them.
func TestAThousandHalfOpenStrangers(t *testing.T) {
	one := start(t, "n1", "127.0.0.1:0", nil)
	before := runtime.NumGoroutine()
	var all []net.Conn
	for i := range 1000 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%20))}}
		c, err := d.Dial("tcp", one.address)
		require.NoError(t, err)
		if i%2 == 0 {
			_, err = c.Write([]byte(codec.LinkMagic + "\x00\x00\x40\x00"))
			_ = err // it may have had to go already
		}
		all = append(all, c)
	}
	until(t, "all of them", func() bool { s := one.Status(); return s.Pushed+uint64(s.Strangers) >= 1000 })
	require.LessOrEqual(t, one.Status().Strangers, strangersMax)
	until(t, "those pushed out to be gone", func() bool { return runtime.NumGoroutine() <= before+strangersMax+1 })
	two := start(t, "n2", "127.0.0.1:0", nil)
	two.SetPeers(map[codec.NodeID]string{"n1": one.address})
	two.upTo(t, "n1")
	for _, c := range all {
		require.NoError(t, c.Close())
	}
}

// A peer that takes nothing, by TCP: what waits is bounded, and Close too.
func TestAPeerThatReadsNothingByTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.ReadFull(c, make([]byte, len(codec.LinkMagic)))
				frame, _ := codec.NewFrameReader(c, codec.GreetingFrameMax).Read(nil)
				g, err := codec.ParseGreeting(frame)
				if err != nil {
					return
				}
				c.Write(codec.EncodeAccepted(Self{Cluster: ours, Node: "n2"}.greeting(5, g.Purpose, "n1")).Bytes())
				<-stop
			}()
		}
	}()
	one := start(t, "n1", "127.0.0.1:0", func(c *Config) { c.BulkBytes = 8 << 20 })
	one.SetPeers(map[codec.NodeID]string{"n2": l.Addr().String()})
	one.upTo(t, "n2")
	for range 100 {
		one.Send("n2", [][]byte{make([]byte, 1<<20)})
		require.LessOrEqual(t, one.Status().Peers[0].Bulk.QueuedBytes, 8<<20)
	}
	require.NotZero(t, one.Status().Peers[0].Bulk.Lost.Letters)
	began := time.Now()
	one.Close()
	require.Less(t, time.Since(began), 3*closeWithin)
}

// authority makes certificates for tests.
type authority struct {
	testing.TB
	pair trust.Pair
	dir  string
}

func newAuthority(t testing.TB) *authority {
	p, err := trust.NewAuthority(time.Now(), time.Hour)
	require.NoError(t, err)
	a := &authority{t, p, t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, trust.AuthorityCert), p.Cert, 0o600))
	return a
}

func (a *authority) credentials(role codec.Role, name string) *trust.Credentials {
	a.Helper()
	who := codec.Identity{Role: role, Name: name}
	p, err := trust.Issue(a.pair, trust.Order{Identity: who, Holds: time.Hour}, time.Now())
	require.NoError(a, err)
	cert, key := trust.FilesOf(a.dir, who)
	require.NoError(a, trust.Write(p, cert, key, true))
	c, err := trust.Load(trust.Files{Cert: cert, Key: key, CA: filepath.Join(a.dir, trust.AuthorityCert)}, nil)
	require.NoError(a, err)
	return c
}

func TestLettersByTLS(t *testing.T) {
	a := newAuthority(t)
	lettersArrive(t, func(c *Config) { c.TLS = a.credentials(codec.RoleBroker, string(c.Self.Node)) })
}

// Who has no certificate, a wrong one, or speaks no TLS is refused, and each
// side says why; nobody is lost by it, and the right one comes through.
func TestStrangersByTLS(t *testing.T) {
	a, others := newAuthority(t), newAuthority(t)
	withTLS := func(c *trust.Credentials) func(*Config) { return func(g *Config) { g.TLS = c } }
	one := start(t, "n1", "127.0.0.1:0", func(c *Config) {
		c.TLS = a.credentials(codec.RoleBroker, "n1")
		c.Answer = func(p Peer, q []byte) []byte { return []byte(string(p.Node) + string(q)) }
	})
	for _, c := range []struct {
		name  string
		self  codec.NodeID
		tls   *trust.Credentials
		says  string
		notes codec.Code
	}{
		{"no TLS", "n2", nil, "AUTH_REQUIRED: this link speaks TLS only", codec.AuthRequired},
		{"another authority", "n2", others.credentials(codec.RoleBroker, "n2"), "of an authority that this side does not know", 0},
		{"another's name", "n2", a.credentials(codec.RoleBroker, "n3"), "AUTH_FAILED: the certificate names troupe://broker/n3", codec.AuthFailed},
		{"a service", "n2", a.credentials(codec.RoleService, "n2"), "DENIED: the certificate names troupe://service/n2", codec.Denied},
		{"a client", "n2", a.credentials(codec.RoleClient, "n2"), "DENIED", codec.Denied},
	} {
		two := start(t, c.self, "127.0.0.1:0", withTLS(c.tls))
		two.SetPeers(map[codec.NodeID]string{"n1": one.address})
		until(t, c.name, func() bool { return bytes.Contains([]byte(two.trouble("n1")), []byte(c.says)) })
		if c.notes != 0 {
			until(t, "a note of it", func() bool {
				return slices.ContainsFunc(one.Status().Refusals, func(r Refusal) bool { return r.Code == c.notes })
			})
		}
		two.Close()
	}

	// One that knows this authority, and shows a certificate of another.
	raw, err := net.Dial("tcp", one.address)
	require.NoError(t, err)
	cfg := others.credentials(codec.RoleBroker, "n2").Client(protocolName, nil)
	cfg.VerifyConnection = nil
	c := tls.Client(raw, cfg)
	require.NoError(t, c.Handshake())
	_, err = c.Read(make([]byte, 1))
	require.ErrorContains(t, explain(err), "it does not take this side's certificate")
	require.NoError(t, raw.Close())
	until(t, "a note of it", func() bool {
		for _, r := range one.Status().Refusals {
			if r.Who == "127.0.0.1" && r.Code == codec.AuthFailed {
				return true
			}
		}
		return false
	})

	// One that shows none.
	raw, err = net.Dial("tcp", one.address)
	require.NoError(t, err)
	cfg = a.credentials(codec.RoleBroker, "n2").Client(protocolName, nil)
	cfg.GetClientCertificate = nil
	c = tls.Client(raw, cfg)
	_, err = c.Write(append([]byte(codec.LinkMagic), codec.EncodeGreeting(Self{Cluster: ours, Node: "n2"}.greeting(1, codec.PurposeControl, "")).Bytes()...))
	require.NoError(t, err)
	frame, err := codec.NewFrameReader(c, codec.GreetingFrameMax).Read(nil)
	require.NoError(t, err)
	_, err = codec.ParseGreeted(frame)
	require.ErrorIs(t, err, codec.E(codec.AuthRequired))
	require.NoError(t, raw.Close())

	// The right one, and one that takes it for another.
	two := start(t, "n2", "127.0.0.1:0", withTLS(a.credentials(codec.RoleBroker, "n2")))
	two.SetPeers(map[codec.NodeID]string{"n1": one.address, "n4": one.address})
	two.upTo(t, "n1")
	two.say("n1", "hello")
	require.Equal(t, "n2: hello", wait(t, one.got, "a letter"))
	until(t, "n1 is not n4", func() bool {
		return bytes.Contains([]byte(two.trouble("n4")), []byte("WRONG_NODE: its certificate names troupe://broker/n1"))
	})
	peer, answer, err := two.Asker().Question(context.Background(), one.address, []byte("?"))
	require.NoError(t, err)
	require.Equal(t, "n2?", string(answer))
	require.Equal(t, codec.NodeID("n1"), peer.Node)
	require.Empty(t, one.lost)

	// TLS is spoken where there is none.
	bare := start(t, "n5", "127.0.0.1:0", nil)
	two.SetPeers(map[codec.NodeID]string{"n5": bare.address})
	until(t, "no TLS there", func() bool { return bytes.Contains([]byte(two.trouble("n5")), []byte("it does not speak TLS")) })
}

// Many send at once, to peers that come, go and end: nothing is left behind,
// whichever way it ends.
func TestManySendAtOnce(t *testing.T) {
	var heard atomic.Int64
	links := make([]*real, 4)
	peers := map[codec.NodeID]string{}
	for i := range links {
		n := codec.NodeID("n" + strconv.Itoa(i))
		links[i] = start(t, n, "127.0.0.1:0", func(c *Config) { c.Hear = func(codec.NodeID, []byte) { heard.Add(1) } })
		peers[n] = links[i].address
	}
	var all sync.WaitGroup
	for i, l := range links {
		for g := range 4 {
			all.Go(func() {
				for k := range 500 {
					to := codec.NodeID("n" + strconv.Itoa((i+k)%len(links)))
					l.Send(to, [][]byte{make([]byte, 1+k%200)})
					l.Send(to, [][]byte{make([]byte, 100), make([]byte, k*20)})
					switch {
					case g == 0 && k%50 == 0:
						l.SetPeers(peers)
					case g == 1 && k == 250 && i == 3:
						l.Close()
					case g == 2 && k%20 == 0:
						l.Status()
					}
				}
			})
		}
	}
	all.Wait()
	until(t, "letters", func() bool { return heard.Load() > 100 })
	for _, l := range links {
		l.SetPeers(nil)
	}
}
