package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/cluster/member"
)

// prints are the tags of the keys of a broker's gossip: empty when it has none, nil when
// it has no gossip, or does not say.
type prints []string

// gossipKeys are the prints of what a broker is configured with.
func (c *serveConfig) gossipKeys() (prints, error) {
	if at, _ := c.gossipAddress(); at == gossipNone {
		return nil, nil
	}
	if c.GossipKey == "" {
		return prints{}, nil
	}
	k, err := member.ReadKeyring(c.GossipKey)
	if err != nil {
		return nil, err
	}
	return k.Prints(), nil
}

// other says what is wrong with somebody's keys, and what to do; "" when gossip can go
// between the two, or is not to.
func (p prints) other(theirs prints) string {
	switch {
	case p == nil || theirs == nil || len(p) == 0 && len(theirs) == 0:
		return ""
	case len(p) == 0:
		return "encrypts its gossip, and this one has no key: give it the file of the others with --gossip-key"
	case len(theirs) == 0:
		return "does not encrypt its gossip, and this one does: give all of them the same file with --gossip-key, or none"
	case !slices.Contains(theirs, p[0]) || !slices.Contains(p, theirs[0]): // each sends with its first
		return "has other keys of the gossip: give this one the file of the others with --gossip-key"
	}
	return ""
}

// notOneCluster is why whoever is to join those that have answered cannot: they are of
// two clusters, or of one whose gossip it would not understand.
func notOneCluster(keys prints, said map[string]heard) error {
	first := ""
	for _, a := range slices.Sorted(maps.Keys(said)) {
		s := said[a].standing
		if s == nil || s.Stage != stageMember {
			continue
		}
		if other := keys.other(s.Keys); other != "" {
			return fmt.Errorf("join a cluster: the broker at %s %s", a, other)
		}
		if first == "" {
			first = a
		} else if is := said[first].standing; is.Cluster != s.Cluster {
			return fmt.Errorf("join a cluster: the brokers of --join belong to two, %s at %s and %s at %s: list those of one", is.Cluster, first, s.Cluster, a)
		}
	}
	return nil
}
