package world

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
