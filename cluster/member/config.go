package member

import (
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/troupe-mq/troupe/codec"
)

// Config of Members. Node and Cluster must be given.
type Config struct {
	Node    codec.NodeID
	Cluster codec.UUID
	Disk    codec.UUID
	// Link is where others reach this broker's link, told to them.
	Link string
	// Bind is the address to listen on, HOST:PORT for both TCP and UDP; port 0
	// takes a free one.
	Bind string
	// Advertise is the address that others are told to use; empty: that of Bind.
	Advertise string
	// Keyring encrypts; nil does not, which is for loopback.
	Keyring *Keyring
	// Known is asked where else to look for members: addresses of gossip. It may
	// take seconds. nil knows nobody.
	Known func() []string
	// Changed says that Members may be another. It must not wait.
	Changed func()
	// Log is told what happens, with keys and values in turn. nil = silence.
	Log func(event string, fields ...any)

	transport func() (memberlist.Transport, error) // for tests
	lookEvery time.Duration                        // between two looks at Known, when nobody is missing
}

func (c Config) withDefaults() Config {
	if c.Known == nil {
		c.Known = func() []string { return nil }
	}
	if c.Changed == nil {
		c.Changed = func() {}
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	if c.lookEvery == 0 {
		c.lookEvery = 10 * time.Second
	}
	return c
}

// Status is how a member is.
type Status string

// How members are.
const (
	Alive  Status = "alive"
	Failed Status = "failed" // nobody hears it
	Left   Status = "left"   // it said so
)

// Member is a broker of which was heard.
type Member struct {
	Node   codec.NodeID
	Gossip string // address
	Link   string // address of its link
	Disk   codec.UUID
	Status Status
	Since  time.Time // as seen here
}

// Times of the gossip: a process that was killed is noticed in about three
// seconds, and one that stalls is not thought dead at once.
const (
	probeEvery   = 500 * time.Millisecond
	probeWithin  = 250 * time.Millisecond
	gossipEvery  = 100 * time.Millisecond
	streamWithin = 2 * time.Second
	compareEvery = 10 * time.Second // whole lists, with one other
	retryEvery   = 5 * time.Second  // who has failed
	reclaimAfter = 10 * time.Second // the name of a failed one, by another address
	leaveWithin  = 500 * time.Millisecond
	leaveSpreads = 200 * time.Millisecond
)
