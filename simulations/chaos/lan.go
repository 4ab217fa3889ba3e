package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Lan is a network on this machine that only this process knows: each host is
// a network namespace whose one cable ends in a switch here. What goes over it
// is real, the kernel's TCP and UDP; what becomes of a frame between two hosts
// is for the switch to say.
type Lan struct {
	Switch *Switch
	hosts  []*Host
}

// Host is a network namespace with one address. Processes that are started, and
// sockets that are made, in Do belong to it.
type Host struct {
	Name    string
	Address netip.Addr
	port    int // of the switch
	ns      int // descriptor of the namespace
	tap     *os.File
}

// mtu lets one frame carry as much as a large local network would.
const mtu = 9000

// network is that of benchmarks (RFC 2544): nobody has it, and no route leads
// there but inside of the hosts.
var network = netip.MustParsePrefix("198.18.65.0/24")

// ErrNotPermitted says that this machine does not let us have networks of our
// own.
var ErrNotPermitted = errors.New("network namespaces and TAP devices are not permitted here")

// NewLan makes hosts and their switch. Chance is for frames that are lost and
// the like.
func NewLan(chance *rand.Rand, names ...string) (_ *Lan, err error) {
	l := &Lan{}
	var taps []*os.File
	defer func() {
		if err != nil {
			for _, h := range l.hosts {
				err = errors.Join(err, h.close())
			}
		}
	}()
	at := network.Addr()
	for i, name := range names {
		at = at.Next()
		h, err := newHost(name, at)
		if err != nil {
			return nil, fmt.Errorf("make host %s: %w", name, err)
		}
		h.port = i
		l.hosts, taps = append(l.hosts, h), append(taps, h.tap)
	}
	l.Switch = newSwitch(chance, taps)
	return l, nil
}

// Host is the one of a name.
func (l *Lan) Host(name string) *Host {
	for _, h := range l.hosts {
		if h.Name == name {
			return h
		}
	}
	panic("chaos: no host " + name)
}

// Close takes the network down. Processes on it are cut off.
func (l *Lan) Close() error {
	var errs []error
	for _, h := range l.hosts {
		errs = append(errs, h.close())
	}
	l.Switch.wait()
	return errors.Join(errs...)
}

func (h *Host) close() error {
	return errors.Join(h.tap.Close(), unix.Close(h.ns))
}

// newHost makes a namespace with a device, and its address.
func newHost(name string, at netip.Addr) (*Host, error) {
	h := &Host{Name: name, Address: at, ns: -1}
	err := elsewhere(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() (err error) {
		if h.ns, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		if h.tap, err = openTap(); err != nil {
			return err
		}
		return errors.Join(configure("lo", netip.Addr{}), configure(tapName, at))
	})
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOENT) {
		err = fmt.Errorf("%w: %w", ErrNotPermitted, err)
	}
	if err != nil {
		if h.tap != nil {
			_ = h.tap.Close()
		}
		if h.ns >= 0 {
			_ = unix.Close(h.ns)
		}
		return nil, err
	}
	return h, nil
}

// Do runs f on a thread of this host. What f starts on other goroutines is not
// of this host.
func (h *Host) Do(f func() error) error {
	return elsewhere(func() error { return unix.Setns(h.ns, unix.CLONE_NEWNET) }, f)
}

// Dial opens a connection from this host to an address whose host is an IP
// address.
func (h *Host) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = h.Do(func() (err error) {
		c, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// elsewhere runs f on a thread that enter has taken to another namespace, and
// takes the thread home. One that does not come home ends with its goroutine.
func elsewhere(enter, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			done <- err
			return
		}
		defer unix.Close(home)
		if err := enter(); err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		err = f()
		if unix.Setns(home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}
