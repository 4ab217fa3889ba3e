package client

import (
	"context"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

// ServeMemory runs a broker in memory for the examples.
func ServeMemory() (address string, stop func()) {
	s := gateway.New(&memory{topics: map[codec.Topic][]*log{}}, gateway.Options{})
	addr, err := s.Listen("127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return addr.String(), func() { _ = s.Close(context.Background()) }
}
