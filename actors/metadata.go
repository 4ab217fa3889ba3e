package actors

import (
	"fmt"
	"sync/atomic"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// metadata is the machine of group 1: what the cluster consists of. Each
// state that it reaches is published as a value that never changes.
type metadata struct {
	house     *house
	state     cluster.State
	published *atomic.Pointer[cluster.State]
	changed   bool
}

// decided is the result of a metadata command: what it did, or why it was
// refused. A refusal is an entry like any other.
type decided struct {
	result cluster.Result
	err    error
}

// metadataChanged tells the keeper and the courier that a new state was
// published.
type metadataChanged struct{}

func (m *metadata) apply(index codec.Index, command []byte) any {
	c, err := cluster.DecodeCommand(command)
	if err != nil {
		panic(fmt.Sprintf("actors: metadata entry %d does not hold: %v", index, err))
	}
	next, result, err := cluster.Apply(m.state, c)
	m.state, m.changed = next, m.changed || err == nil
	return decided{result, err}
}

func (m *metadata) snapshot() []byte { return m.state.Encode() }

func (m *metadata) restore(p []byte) (err error) {
	m.state, err = cluster.DecodeState(p)
	m.changed = true
	return err
}

func (m *metadata) settled() {
	if !m.changed {
		return
	}
	m.changed = false
	if old := m.published.Load(); old != nil && m.state.Revision < old.Revision {
		// The log was opened again and is gone over from its last snapshot: what
		// was published does not go back.
		return
	}
	state := m.state
	m.published.Store(&state)
	if f := m.house.cfg.Changed; f != nil {
		f(&state)
	}
	m.house.toBroker(metadataChanged{})
	m.house.send(m.house.courier, metadataChanged{})
}
