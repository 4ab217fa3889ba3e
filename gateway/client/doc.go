// Package client owns the Go client of Troupe's protocol v1; docs/CLIENT.md
// says how to use it.
//
// A Client keeps one connection to each server it needs and sends requests
// on it without waiting for answers. Errors that come from a broker, or that
// mean the same, are *codec.Error. Its promise about outcomes: an error with
// code UNKNOWN means that the request left and its answer did not come, so it
// may have been carried out; the client never sends such a request again by
// itself, but for batches of a Producer, which are stored once however often they
// come. Every other error means it was not carried out. Reads are repeated, for a
// while, when a repetition can help, and so are batches of a Producer.
//
// What it holds is bounded: requests in flight by what the server allows,
// batches by ProducerOptions.BufferBytes, what is read ahead by
// ConsumerOptions.BufferBytes or, for each partition, ReadOptions.MaxBytes, and
// frames of the server by HELLO.
package client
