package member

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// memnet is a network in memory: packets may be lost, hosts cut off.
type memnet struct {
	mu    sync.Mutex
	rng   *rand.Rand
	loss  float64
	hosts map[string]*memhost
	cut   map[string]bool // hosts from whom and to whom nothing comes
}

func newMemnet(seed uint64) *memnet {
	return &memnet{rng: rand.New(rand.NewPCG(seed, 1)), hosts: map[string]*memhost{}, cut: map[string]bool{}}
}

// memhost implements memberlist.Transport.
type memhost struct {
	net     *memnet
	ip      net.IP
	port    int
	packets chan *memberlist.Packet
	streams chan net.Conn
	done    chan struct{}
	once    sync.Once
}

// host is a new transport at an address, which takes the place of one before.
func (n *memnet) host(ip string) *memhost {
	h := &memhost{net: n, ip: net.ParseIP(ip), port: 9652, packets: make(chan *memberlist.Packet, 1024), streams: make(chan net.Conn, 64), done: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[h.address()] = h
	return h
}

func (h *memhost) address() string { return net.JoinHostPort(h.ip.String(), fmt.Sprint(h.port)) }

// to is the host at an address, nil when nothing gets there.
func (h *memhost) to(address string, packet bool) *memhost {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	o := h.net.hosts[address]
	if o == nil || h.net.cut[address] || h.net.cut[h.address()] || packet && h.net.rng.Float64() < h.net.loss {
		return nil
	}
	return o
}

func (n *memnet) set(do func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	do()
}

func (h *memhost) FinalAdvertiseAddr(string, int) (net.IP, int, error) { return h.ip, h.port, nil }

func (h *memhost) WriteTo(p []byte, address string) (time.Time, error) {
	now := time.Now()
	if o := h.to(address, true); o != nil {
		select {
		case o.packets <- &memberlist.Packet{Buf: append([]byte(nil), p...), From: &net.UDPAddr{IP: h.ip, Port: h.port}, Timestamp: now}:
		default: // as a full buffer of a kernel
		}
	}
	return now, nil
}

func (h *memhost) PacketCh() <-chan *memberlist.Packet { return h.packets }
func (h *memhost) StreamCh() <-chan net.Conn           { return h.streams }

func (h *memhost) DialTimeout(address string, d time.Duration) (net.Conn, error) {
	o := h.to(address, false)
	if o == nil {
		time.Sleep(d)
		return nil, fmt.Errorf("dial %s: timed out", address)
	}
	a, b := net.Pipe()
	select {
	case o.streams <- b:
		return a, nil
	case <-o.done:
		return nil, syscall.ECONNREFUSED
	}
}

func (h *memhost) Shutdown() error {
	h.once.Do(func() {
		close(h.done)
		h.net.mu.Lock()
		defer h.net.mu.Unlock()
		if h.net.hosts[h.address()] == h {
			delete(h.net.hosts, h.address())
		}
	})
	return nil
}
