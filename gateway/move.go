package gateway

import "github.com/troupe-mq/troupe/codec"

// Moves: where replicas are to be, and who is to lead.

func (c *conn) changeReplicas(r request, e *codec.Envelope) error {
	var req codec.ChangeReplicas
	if err := e.Decode(&req); err != nil {
		return err
	}
	c.server.broker.ChangeReplicas(req.TopicPartition, req.Nodes, func(err error) { c.reply(r, codec.Empty{}, err) })
	return nil
}

func (c *conn) transfer(r request, e *codec.Envelope) error {
	var req codec.Transfer
	if err := e.Decode(&req); err != nil {
		return err
	}
	if err := c.server.broker.Transfer(req.TopicPartition, req.To); err != nil {
		return err
	}
	c.reply(r, codec.Empty{}, nil)
	return nil
}
