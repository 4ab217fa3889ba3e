// Package gateway owns the door for clients of protocol v1
// (docs/PROTOCOL.md): listeners, connections, and the rules of a session.
//
// It promises that nothing a client sends harms anyone but that client:
// every frame is bounded before it is read and checked before it is decoded,
// memory per connection is bounded, that of large answers on all of them too
// (budget.go), and a slow or silent client is let go. It promises a client that
// answers to produces of one partition keep their order, that no request waits
// behind another's long poll, and that nothing is dropped while the connection
// lives: at a limit the gateway stops reading.
//
// The rules are a mind of their own (session.go), without sockets. Each
// connection has one reader, which takes requests to the Broker, and one
// writer, which reads for fetches and sends answers. What the gateway needs of
// a broker is in broker.go.
package gateway
