package member

import (
	"fmt"

	"github.com/hashicorp/serf/serf"

	"github.com/troupe-mq/troupe/codec"
)

// Tags are short: all of them have 512 bytes.
const (
	tagCluster = "c"
	tagDisk    = "d"
	tagLink    = "l"
)

func (c *Config) tags() map[string]string {
	return map[string]string{tagCluster: c.Cluster.String(), tagDisk: c.Disk.String(), tagLink: c.Link}
}

// guard keeps out who does not belong here. Serf asks it about every member that
// it is told of, with locks of its own held.
type guard struct{ config *Config }

// NotifyMerge implements serf.MergeDelegate.
func (g guard) NotifyMerge(all []*serf.Member) error {
	for _, m := range all {
		if err := g.refusal(m.Name, m.Tags); err != nil {
			return err
		}
	}
	return nil
}

func (g guard) refusal(name string, tags map[string]string) error {
	if theirs := tags[tagCluster]; theirs != g.config.Cluster.String() {
		return fmt.Errorf("node %.64q is of cluster %.64q, and this is %s: correct the address in --join", name, theirs, g.config.Cluster)
	}
	disk, err := codec.ParseUUID(tags[tagDisk])
	if err != nil {
		return fmt.Errorf("node %.64q: %w", name, err)
	}
	if codec.NodeID(name) == g.config.Node && disk != g.config.Disk {
		return fmt.Errorf("another broker is node %.64q as well, with disk %s: give one of the two a name and a data directory of its own", name, disk)
	}
	return nil
}
