package main

import (
	"context"
	"fmt"
	"strings"
)

// driver is one system as the load sees it.
type driver interface {
	// send hands a batch over and returns; done is called once, from any
	// goroutine, when the system has answered for all of its records. The
	// records' memory is the driver's until then.
	send(ctx context.Context, partition int, b *batchOf, done func(error)) error
	// read reads a partition from its first record on: until see says stop, or to
	// the end of what was there when until is not given.
	read(ctx context.Context, partition int, see func(record []byte) (more bool, err error)) error
	close() error
}

// opened is what a driver is opened with.
type opened struct {
	Address string // of a server
	Dir     string // of what has no server
	Shape   shape
}

// open makes the driver of a system.
func open(ctx context.Context, system string, o opened) (driver, error) {
	switch system {
	case troupeD, troupeP:
		return openTroupe(ctx, o)
	case producerD:
		return openProducer(ctx, o)
	case embeddedD, embeddedP:
		return openEmbedded(ctx, o, system == embeddedP)
	case natsD, natsP:
		return openNATS(ctx, o)
	case plain4, plain1, plainP:
		return openPlain(o, system)
	}
	return nil, fmt.Errorf("no such system: %q", system)
}

// hasServer says whether a system is a process apart from the load.
func hasServer(system string) bool {
	return strings.HasPrefix(system, "nats") || system == troupeD || system == troupeP || system == producerD
}
