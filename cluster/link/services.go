package link

import (
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// servicesMax bounds the services that are attached at a time, and with the window the
// memory that they can take.
const servicesMax = 64

// enterService takes a connection of a service.
func (l *Link) enterService(c *conn) *codec.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || l.leaving:
		return errClosed
	case l.config.Serve == nil:
		return codec.Errorf(codec.OpUnknown, "node %q serves no services", l.config.Self.Node)
	case len(l.services) >= servicesMax:
		return codec.Errorf(codec.Overloaded, "%d services are attached: at most %d may be", len(l.services), servicesMax)
	}
	c.peer.Cluster = l.cluster
	c.desk = newDesk(l, c)
	l.services[c] = struct{}{}
	l.conns[c] = struct{}{}
	return nil
}

// LeaveServices tells services to go to another broker when they have their answers,
// which they go on getting until Close; and takes no more.
func (l *Link) LeaveServices() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = true
	for c := range l.services {
		c.desk.goodbye(true)
	}
}

func (l *Link) leaveService(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.services, c)
	delete(l.conns, c)
}

// ServiceStatus is one connection of a service.
type ServiceStatus struct {
	Name     string
	Address  string        // where it dialled from
	Heard    time.Duration // ago
	Calls    uint64        // that came
	UnderWay int           // of them
	Bytes    int           // that those cost of the window
}

func (d *desk) status() ServiceStatus {
	s := ServiceStatus{Name: d.name, Address: d.conn.raw.RemoteAddr().String(), Heard: d.link.now() - time.Duration(d.conn.heard.Load())}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Calls, s.UnderWay, s.Bytes = d.calls, len(d.open), d.bytes
	return s
}
