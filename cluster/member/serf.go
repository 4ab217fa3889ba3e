package member

import (
	"fmt"
	"net"
	"strconv"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// build makes one Serf. The configuration of one is never used for another: Serf
// writes to it.
func (c *Config) build(events chan<- serf.Event) (*serf.Serf, error) {
	list, err := c.listConfig()
	if err != nil {
		return nil, err
	}
	s := serf.DefaultConfig()
	s.Init()
	s.NodeName, s.Tags, s.EventCh = string(c.Node), c.tags(), events
	s.Logger, s.LogOutput = c.logger(), nil
	s.MemberlistConfig = list
	s.Merge = guard{c}
	// Of two with one name the loser of a vote would stop itself. Who is to go is
	// decided where nodes register.
	s.EnableNameConflictResolution = false
	s.DisableCoordinates = true
	s.SnapshotPath = "" // it drops events, and forgets who has failed
	s.ReconnectInterval = retryEvery
	s.BroadcastTimeout, s.LeavePropagateDelay = leaveWithin, leaveSpreads
	made, err := serf.Create(s)
	if err != nil {
		if list.Transport != nil {
			_ = list.Transport.Shutdown() // memberlist may not have come to it
		}
		return nil, fmt.Errorf("gossip on %s: %w", c.Bind, err)
	}
	return made, nil
}

func (c *Config) listConfig() (*memberlist.Config, error) {
	m := memberlist.DefaultLANConfig()
	m.Logger, m.LogOutput = c.logger(), nil
	m.Label = c.Cluster.String()
	m.ProbeInterval, m.ProbeTimeout, m.SuspicionMult, m.SuspicionMaxTimeoutMult = probeEvery, probeWithin, 4, 2
	m.GossipInterval, m.TCPTimeout, m.PushPullInterval = gossipEvery, streamWithin, compareEvery
	m.DeadNodeReclaimTime = reclaimAfter
	var err error
	if m.Keyring, err = c.Keyring.memberlist(); err != nil {
		return nil, fmt.Errorf("keys of the gossip: %w", err)
	}
	if c.transport != nil {
		if m.Transport, err = c.transport(); err != nil {
			return nil, err
		}
		return m, nil
	}
	if m.BindAddr, m.BindPort, err = splitAddress(c.Bind); err != nil {
		return nil, fmt.Errorf("gossip on %q: %w", c.Bind, err)
	}
	m.AdvertisePort = 0 // that of Bind, whatever it is
	if c.Advertise != "" {
		if m.AdvertiseAddr, m.AdvertisePort, err = splitAddress(c.Advertise); err != nil {
			return nil, fmt.Errorf("gossip told as %q: %w", c.Advertise, err)
		}
	}
	return m, listen(m)
}

// listen opens the sockets. Done here, an address that is taken leaves nothing
// behind: Serf forgets a goroutine when it cannot be made.
func listen(m *memberlist.Config) error {
	t, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{m.BindAddr}, BindPort: m.BindPort, Logger: m.Logger})
	if err != nil {
		return fmt.Errorf("gossip on %s: %w", net.JoinHostPort(m.BindAddr, strconv.Itoa(m.BindPort)), err)
	}
	if m.Transport = t; m.BindPort == 0 {
		m.BindPort = t.GetAutoBindPort()
	}
	if m.AdvertisePort == 0 {
		m.AdvertisePort = m.BindPort
	}
	return nil
}

// splitAddress is the IP address and the port of HOST:PORT.
func splitAddress(address string) (ip string, port int, err error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	if port, err = strconv.Atoi(p); err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("port %q: want 0 to 65535", p)
	}
	found, err := net.ResolveIPAddr("ip", host)
	if err != nil {
		return "", 0, err
	}
	if found.IP == nil {
		return "0.0.0.0", port, nil
	}
	return found.IP.String(), port, nil
}
