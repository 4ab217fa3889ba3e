package world

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// What is above the end of a log is said by a leader that has asked the others: within two
// attempts while they hear it, and never while they do not.
func TestTheEndOfALogIsSaidByItsLeaderOnly(t *testing.T) {
	c := three(t, 12)
	log := c.logs[0]
	c.write(t, log)
	read := func(n *Node) error {
		h, err := n.Broker.Partition(log)
		require.NoError(t, err)
		_, err = h.Read(nil, 1000, 1000)
		require.Contains(t, []codec.Code{codec.OffsetNotAvailable, codec.OffsetOutOfRange}, codec.CodeOf(err), "%v", err)
		return err
	}
	said := func(err error) bool { return errors.Is(err, codec.E(codec.OffsetOutOfRange)) }
	pass := func(d time.Duration) { require.NoError(t, c.w.RunFor(d)) }
	lead := c.leads(log)
	require.False(t, said(read(lead)))
	pass(50 * time.Millisecond)
	require.ErrorContains(t, read(lead), "is above the end of the log, ")
	pass(2 * time.Second)
	require.False(t, said(read(lead)), "that was long ago")
	for _, n := range c.nodes {
		if n != lead {
			for range 10 {
				require.False(t, said(read(n)), "a follower")
				pass(50 * time.Millisecond)
			}
		}
	}
	pass(2 * time.Second)
	for _, n := range c.nodes {
		c.net.Way(n.name, lead.name).Cut, c.net.Way(lead.name, n.name).Cut = true, true
	}
	for range 40 {
		require.False(t, said(read(lead)), "nobody hears it")
		pass(50 * time.Millisecond)
	}
}

// That a replica led is proved of the moment at which it asked: an answer that was long on
// its way comes when others have elected another, and written more.
func TestAnAnswerThatWasLongOnItsWayProvesNothing(t *testing.T) {
	met := 0
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := three(t, seed)
			if c.staleEdge(t, c.logs[0]) {
				met++
			}
		})
	}
	require.Positive(t, met, "in no run did the leader still believe in itself")
}

// staleEdge has a leader ask where its log ends, the answer to it held up until another
// leads; true when it had not stepped down by then.
func (c *Cluster) staleEdge(t *testing.T, log codec.TopicPartition) bool {
	lead, h := c.leader(log)
	_, high, err := h.Bounds()
	require.NoError(t, err)
	var others []*Node
	for _, n := range c.nodes {
		if n != lead {
			others = append(others, n)
		}
	}
	near, far := others[0].name, others[1].name
	c.net.Way(far, lead.name).Cut, c.net.Way(lead.name, far).Cut = true, true
	back := c.net.Way(near, lead.name)
	back.Stalled = true
	_, err = h.Read(nil, high+1, 1000)
	require.Equal(t, codec.OffsetNotAvailable, codec.CodeOf(err), "%v", err)
	require.NoError(t, c.w.RunFor(10*time.Millisecond))
	answers := len(back.held)
	c.net.Way(lead.name, near).Cut = true
	other := func() *actors.Handle {
		for _, n := range others {
			if x, err := n.Broker.Partition(log); err == nil {
				if leads, _ := x.Leads(); leads {
					return x
				}
			}
		}
		return nil
	}
	for other() == nil {
		if leads, _ := h.Leads(); !leads {
			return false
		}
		require.NoError(t, c.w.RunFor(10*time.Millisecond))
	}
	for range 3 {
		c.writeBy(t, other())
	}
	_, more, err := other().Bounds()
	require.NoError(t, err)
	require.Greater(t, more, high+1)
	for _, arrive := range back.held[:answers] {
		arrive()
	}
	for range 40 {
		_, err = h.Read(nil, more, 1000)
		require.NotEqual(t, codec.OffsetOutOfRange, codec.CodeOf(err), "%v", err)
		require.NoError(t, c.w.RunFor(5*time.Millisecond))
	}
	return true
}

// writeBy has a record acknowledged by who leads.
func (c *Cluster) writeBy(t *testing.T, h *actors.Handle) {
	var b codec.Builder
	b.Append(1, nil, []byte("x"), nil)
	batch, err := b.Build(codec.NoCompression)
	require.NoError(t, err)
	done := false
	require.NoError(t, h.Produce(t.Context(), batch, func(_ codec.Produced, err error) { require.NoError(t, err); done = true }))
	require.NoError(t, c.w.Run(func() bool { return done }, time.Second))
}
