package world

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A leader whose disk hangs could still send heartbeats, and keep others from
// leading for as long as it does. It gives up, and another takes records.
func TestALeaderWhoseDiskHangsGivesUp(t *testing.T) {
	c := three(t, 6)
	log := c.logs[0]
	n := c.leads(log)
	n.Disk.Inject(func(call Call) Fault {
		if call.Op == "sync" {
			return Hang
		}
		return None
	})
	c.produce(log, 1, func() {})
	require.NoError(t, c.w.Run(func() bool { return c.leads(log) != n }, 30*time.Second))
	c.write(t, log)
	require.NotEqual(t, n, c.leads(log))
	require.NoError(t, c.broken)
}
