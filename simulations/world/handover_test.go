package world

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A broker that is about to go hands everything over at once, and no election waits
// for its silence.
func TestABrokerHandsOverBeforeItGoes(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := three(t, seed)
			going, _ := c.leader(c.logs[0])
			done := false
			going.Broker.HandOver(func() { done = true })
			require.NoError(t, c.run(func() bool { return done }, 500*time.Millisecond))
			require.False(t, going.Broker.LeadsMetadata())
			for _, log := range c.logs {
				h, err := going.Broker.Partition(log)
				require.NoError(t, err)
				leads, _ := h.Leads()
				require.False(t, leads, log)
				c.write(t, log)
			}
		})
	}
}

// Where nobody can take over, a broker does not wait for ever.
func TestABrokerThatCannotHandOverGoesAllTheSame(t *testing.T) {
	c := three(t, 1)
	going, _ := c.leader(c.logs[0])
	for _, n := range c.nodes {
		if n != going {
			c.kill(n, Kept)
		}
	}
	done := false
	going.Broker.HandOver(func() { done = true })
	require.NoError(t, c.run(func() bool { return done }, 5*time.Second))
}

// A broker that is alone has nobody to hand over to.
func TestABrokerAloneHandsNothingOver(t *testing.T) {
	alone, done := moving(t, 2, 1, 1), false
	alone.nodes[0].Broker.HandOver(func() { done = true })
	require.NoError(t, alone.run(func() bool { return done }, 50*time.Millisecond))
}
