package gateway

import (
	"github.com/troupe-mq/troupe/codec"
)

// request is what an answer needs of its request.
type request struct {
	id   uint32
	size int
}

// take carries one frame out. An error ends the connection: it is sent as
// the answer to the request where its id is known.
func (c *conn) take(frame []byte) error {
	size := len(frame)
	e, err := codec.ParseEnvelope(frame)
	if err == nil {
		c.mu.Lock()
		err = c.session.admit(e)
		c.mu.Unlock()
	}
	r := request{id: e.ID, size: size}
	if err == nil && e.Kind == codec.KindOneWay {
		c.release(size)
		giveBuffer(frame)
		return nil
	}
	if err == nil {
		err = c.carryOut(r, e, frame)
	}
	if err != nil && r.id != codec.ConnectionID && e.Kind == codec.KindRequest {
		c.drain(codec.EncodeError(nil, r.id, err), true)
	}
	return err
}

// fatal are the codes whose error ends the connection.
func fatal(err error) bool {
	switch codec.CodeOf(err) {
	case codec.Malformed, codec.VersionUnknown, codec.HelloFirst:
		return true
	}
	return false
}

// carryOut decodes a request and takes it to the broker. Errors that are not
// fatal are answered; produce keeps its frame's memory, the others return it.
func (c *conn) carryOut(r request, e codec.Envelope, frame []byte) error {
	var err error
	switch e.Op {
	case codec.OpProduce:
		return c.produce(r, e, frame)
	case codec.OpFetch:
		err = c.fetch(r, e)
	case codec.OpHello:
		err = c.hello(r, e)
	case codec.OpPing:
		c.reply(r, codec.Empty{}, nil)
	case codec.OpMetadata:
		err = c.metadata(r, e)
	case codec.OpCreateTopic:
		err = c.createTopic(r, e)
	case codec.OpAlterTopic:
		err = c.alterTopic(r, e)
	case codec.OpDeleteTopic:
		err = c.deleteTopic(r, e)
	case codec.OpDescribeTopic:
		err = c.describeTopic(r, e)
	case codec.OpTrim:
		err = c.trim(r, e)
	case codec.OpOffsets:
		err = c.offsets(r, e)
	default:
		err = codec.Errorf(codec.OpUnknown, "operation %d is not known here", uint32(e.Op))
	}
	giveBuffer(frame)
	if err != nil && !fatal(err) {
		c.reply(r, nil, err)
		return nil
	}
	return err
}

func (c *conn) hello(r request, e codec.Envelope) error {
	var h codec.Hello
	if err := e.Decode(&h); err != nil {
		return err
	}
	c.mu.Lock()
	w, err := c.session.hello(h, c.server.broker.Identity())
	c.frames.SetLimit(c.session.frameMax)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.reply(r, w, nil)
	return nil
}
