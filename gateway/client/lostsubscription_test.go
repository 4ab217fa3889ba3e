package client

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// A connection that fails at its writer while its reader has the answer to
// SUBSCRIBE in hands: nobody else can tell the subscription that it is over.
func TestASubscriptionThatIsAnsweredByALostConnection(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 1), "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	l, err := openLink(t.Context(), addr, Options{}.withDefaults())
	require.NoError(t, err)
	l.fail(errors.New("as planned"))
	l.close()
	n := &Consumer{client: c, topic: "t", options: ConsumerOptions{}.withDefaults(), wake: make(chan struct{}, 1)}
	s := &subscription{client: c, link: l, cursor: n.add(0, 0), ended: make(chan error, 1)}
	require.True(t, s.cursor.enter(s))
	frame := codec.EncodeResponse(nil, 1, &codec.Subscribed{Subscription: 1}).Bytes()
	e, err := codec.ParseEnvelope(frame[4:])
	require.NoError(t, err)
	s.answered(&answer{Envelope: e}, nil)
	select {
	case err := <-s.ended:
		require.ErrorIs(t, err, codec.E(codec.Unavailable))
	default:
		t.Fatal("the partition would wait for ever")
	}
}
