package session

import "github.com/troupe-mq/troupe/codec"

// Entrance is the mind of a door: how many connections there are, in all and
// from each address.
type Entrance struct {
	limits Limits
	open   int
	from   map[string]int
}

// NewEntrance is an entrance that nobody has come through yet.
func NewEntrance(limits Limits) *Entrance {
	return &Entrance{limits: limits, from: map[string]int{}}
}

// Enter lets a connection from address in; the error is why it must go.
func (e *Entrance) Enter(address string) error {
	if e.open >= e.limits.Connections {
		return codec.Errorf(codec.Overloaded, "%d connections: at most %d are allowed", e.open, e.limits.Connections)
	}
	if n := e.from[address]; n >= e.limits.AddressConns {
		return codec.Errorf(codec.TooManyConnections, "%d connections from %s: at most %d of one address are allowed", n, address, e.limits.AddressConns)
	}
	e.open++
	e.from[address]++
	return nil
}

// Leave is the end of a connection that was let in.
func (e *Entrance) Leave(address string) {
	e.open--
	if e.from[address]--; e.from[address] == 0 {
		delete(e.from, address)
	}
}

// Open is how many connections there are.
func (e *Entrance) Open() int { return e.open }
