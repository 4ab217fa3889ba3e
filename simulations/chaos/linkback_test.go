package chaos

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster/link"
	"github.com/troupe-mq/troupe/codec"
)

// A link speaks soon after its cable is back. TCP alone would send again after
// 0.2 s, 0.6, 1.4, 3.0 and 6.2, whatever the cable does.
func TestALinkSpeaksSoonAfterItsCableIsBack(t *testing.T) {
	l, ok := lan(t, "n1", "n2")
	if !ok {
		return
	}
	n1, n2 := l.Host("n1"), l.Host("n2")
	heard := make(chan uint64, 10_000)
	address := net.JoinHostPort(n2.Address.String(), "9651")
	self := link.Self{Cluster: codec.UUID{1}, Node: "n2", Disk: codec.UUID{2}, Address: address}
	hears := link.Config{Self: self, Hear: func(_ codec.NodeID, p []byte) {
		number, err := strconv.ParseUint(string(p), 10, 64)
		if err != nil {
			panic(err)
		}
		heard <- number
	}}
	require.NoError(t, n2.Do(func() (err error) {
		hears.Listener, err = net.Listen("tcp", address)
		return err
	}))
	there := link.New(hears)
	t.Cleanup(there.Close)
	self.Node, self.Disk, self.Address = "n1", codec.UUID{1}, ""
	here := link.New(link.Config{Self: self, Dial: func(ctx context.Context, address string) (c net.Conn, err error) {
		err = n1.Do(func() error {
			c, err = link.DialTCP(ctx, address)
			return err
		})
		return c, err
	}})
	t.Cleanup(here.Close)
	here.SetPeers(map[codec.NodeID]string{"n2": address})

	var sent uint64
	speak := func(until func() bool) {
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for !until() {
			<-every.C
			sent++
			here.Send("n2", [][]byte{strconv.AppendUint(nil, sent, 10)})
		}
	}
	arrives := func(from uint64) func() bool {
		began := time.Now()
		return func() bool {
			require.Less(t, time.Since(began), 20*time.Second)
			for {
				select {
				case n := <-heard:
					if n >= from {
						return true
					}
				default:
					return false
				}
			}
		}
	}
	speak(arrives(1))
	l.Switch.Set(n1, n2, Way{Cut: true})
	l.Switch.Set(n2, n1, Way{Cut: true})
	cut := time.Now()
	speak(func() bool { return time.Since(cut) > 3300*time.Millisecond })
	l.Switch.Heal(l.hosts)
	back := time.Now()
	speak(arrives(sent + 1))
	t.Logf("%v after the cable was back", time.Since(back).Round(time.Millisecond))
	require.Less(t, time.Since(back), 1800*time.Millisecond)
}
