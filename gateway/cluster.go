package gateway

import "github.com/troupe-mq/troupe/codec"

// Cluster is what the gateway needs of what a broker knows of the others.
type Cluster interface {
	// View is the cluster as this broker sees it, without waiting.
	View() codec.ClusterView
	// RemoveNode replies when it is decided that a node leaves for good.
	RemoveNode(node codec.NodeID, reply func(error))
}

func (c *conn) aboutCluster(r request, e *codec.Envelope) error {
	if c.server.cluster == nil {
		return codec.Errorf(codec.OpUnknown, "%s: this broker has no cluster to tell of", e.Op)
	}
	if e.Op == codec.OpCluster {
		v := c.server.cluster.View()
		c.reply(r, &v, nil)
		return nil
	}
	var req codec.RemoveNode
	if err := e.Decode(&req); err != nil {
		return err
	}
	c.server.cluster.RemoveNode(req.Node, func(err error) { c.reply(r, codec.Empty{}, err) })
	return nil
}
