package client

import (
	"context"

	"github.com/troupe-mq/troupe/codec"
)

// Cluster is the cluster as the broker sees it that answers.
func (c *Client) Cluster(ctx context.Context) (codec.ClusterView, error) {
	var v codec.ClusterView
	err := c.read(ctx, codec.TopicPartition{}, codec.ClusterQuery{}, &v)
	return v, err
}

// RemoveNode has a broker leave the cluster for good, which must have no replica of a
// topic any more. When it returns nil that is decided; the broker is gone when Cluster
// does not name it any more.
func (c *Client) RemoveNode(ctx context.Context, node codec.NodeID) error {
	return c.change(ctx, &codec.RemoveNode{Node: node}, &codec.Empty{})
}
