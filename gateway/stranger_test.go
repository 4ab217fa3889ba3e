package gateway

import (
	"net"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// memory is what lives on the heap and what stacks take, bytes.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() + s[1].Value.Uint64()
}

// TestAStrangerCostsAlmostNothing holds what a connection takes before its
// HELLO is answered, the client's end of it in this process included: with a
// magic alone, and with a HELLO of 64 KiB that was promised.
func TestAStrangerCostsAlmostNothing(t *testing.T) {
	const many, most = 400, 20 << 10
	for name, says := range map[string][]byte{
		"the magic":            []byte(codec.Magic),
		"a promise of 64 KiB":  withMagic([]byte{0, 1, 0, 0}),
		"and a little of that": withMagic(append([]byte{0, 1, 0, 0}, make([]byte, 600)...)),
	} {
		s, addr := start(t, newFakeBroker("t", 1), Limits{AddressConns: many + 1})
		before := memory()
		var all []net.Conn
		for range many {
			c, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			_, err = c.Write(says)
			require.NoError(t, err)
			all = append(all, c)
		}
		until(t, "all are there", func() bool { return s.Connections() == many })
		each := int(memory()-before) / many
		t.Logf("%s: %d bytes a connection", name, each)
		require.Less(t, each, most, name)
		for _, c := range all {
			require.NoError(t, c.Close())
		}
		until(t, "all are gone", func() bool { return s.Connections() == 0 })
	}
}
