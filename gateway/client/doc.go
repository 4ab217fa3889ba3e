// Package client owns the Go client of Troupe's protocol v1.
//
// A Client keeps one connection to each server it needs and sends requests
// on it without waiting for answers. Errors that come from a broker, or that
// mean the same, are *codec.Error. Its promise about outcomes: an error with
// code UNKNOWN means that the request left and its answer did not come, so it
// may have been carried out; the client never sends such a request again by
// itself. Every other error means it was not carried out. Reads are repeated,
// for a while, when a repetition can help.
//
// What it holds is bounded: requests in flight by what the server allows,
// records waiting to be sent by ProducerOptions.BufferBytes, fetched bytes by
// ReadOptions.MaxBytes for each partition, and frames of the server by HELLO.
package client
