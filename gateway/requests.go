package gateway

import (
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// take carries one frame out. An error ends the connection: it is sent as
// the answer to the request where its id is known.
func (c *conn) take(frame *buffer) error {
	size := len(frame.b)
	e, err := codec.ParseEnvelope(frame.b)
	if err == nil {
		c.mu.Lock()
		err = c.session.Admit(&e)
		c.mu.Unlock()
	}
	r := request{id: e.ID, op: e.Op, size: size, began: c.now()}
	if err == nil && e.Kind == codec.KindOneWay {
		err = c.oneWay(&e)
		c.release(size)
		giveBuffer(frame)
		return err
	}
	if err == nil {
		c.server.counts.asked(e.Op)
		err = c.carryOut(r, &e, frame)
	}
	if err != nil && r.id != codec.ConnectionID && e.Kind == codec.KindRequest {
		c.drain(end{reason: codec.CodeOf(err).String(), farewell: c.refusal(nil, r, err), abrupt: true})
	}
	return err
}

// oneWay carries out what has no answer; what is not known is ignored.
func (c *conn) oneWay(e *codec.Envelope) error {
	if e.Op != codec.OpCredit {
		return nil
	}
	c.server.counts.asked(e.Op)
	return c.grant(e)
}

// fatal are the codes whose error ends the connection.
func fatal(err error) bool {
	switch codec.CodeOf(err) {
	case codec.Malformed, codec.VersionUnknown, codec.HelloFirst, codec.AuthFailed:
		return true
	}
	return false
}

// carryOut decodes a request and takes it to the broker. Errors that are not
// fatal are answered; produce keeps its frame's memory, the others return it.
func (c *conn) carryOut(r request, e *codec.Envelope, frame *buffer) error {
	if e.Op == codec.OpProduce {
		return c.produce(r, e, frame)
	}
	err := c.dispatch(r, e)
	giveBuffer(frame)
	if err != nil && !fatal(err) {
		c.reply(r, nil, err)
		return nil
	}
	return err
}

func (c *conn) dispatch(r request, e *codec.Envelope) error {
	switch e.Op {
	case codec.OpFetch:
		return c.fetch(r, e)
	case codec.OpSubscribe:
		return c.subscribe(r, e)
	case codec.OpUnsubscribe:
		return c.unsubscribe(r, e)
	case codec.OpHello:
		return c.hello(r, e)
	case codec.OpPing:
		c.reply(r, codec.Empty{}, nil)
		return nil
	case codec.OpMetadata:
		return c.metadata(r, e)
	case codec.OpCreateTopic:
		return c.createTopic(r, e)
	case codec.OpAlterTopic:
		return c.alterTopic(r, e)
	case codec.OpDeleteTopic:
		return c.deleteTopic(r, e)
	case codec.OpDescribeTopic:
		return c.describeTopic(r, e)
	case codec.OpNewProducer:
		c.server.broker.NewProducer(func(id int64, err error) { c.reply(r, &codec.ProducerIdentity{ID: id}, err) })
		return nil
	case codec.OpTrim:
		return c.trim(r, e)
	case codec.OpChangeReplicas:
		return c.changeReplicas(r, e)
	case codec.OpTransfer:
		return c.transfer(r, e)
	case codec.OpCluster, codec.OpRemoveNode:
		return c.aboutCluster(r, e)
	case codec.OpOffsets:
		return c.offsets(r, e)
	case codec.OpCredit:
		return codec.Errorf(codec.InvalidArgument, "CREDIT is a one-way (kind 3): it has no answer")
	}
	return codec.Errorf(codec.OpUnknown, "operation %d is not known here", uint32(e.Op))
}

func (c *conn) hello(r request, e *codec.Envelope) error {
	var h codec.Hello
	if err := e.Decode(&h); err != nil {
		return err
	}
	who, err := c.authenticate(h.Token)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.who = who
	w, err := c.session.Hello(&h)
	c.frames.SetLimit(c.session.FrameMax())
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.inlet.widen()
	id := c.server.broker.Identity()
	c.redirect = slices.Contains(w.Features, codec.FeatureRedirect)
	w.Server, w.Cluster, w.Node = id.Version, id.Cluster, id.Node
	c.reply(r, w, nil)
	return nil
}
