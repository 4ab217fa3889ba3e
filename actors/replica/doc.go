// Package replica owns the mind of one replica: what a member of a raft group
// does about a message, a tick, a batch to append or an answer of its disk.
// It is raft's RawNode and what a log of record batches needs on top: offsets
// stamped by the leader, payloads kept beside their descriptors until they
// are handed to the disk, idempotent producers, answers.
//
// It promises: no answer before the entry it is about is committed under the
// term it was proposed in, and exactly one answer for each accepted request;
// an outcome that is not known is said to be Unknown and never "not written";
// nothing that rests on the disk (a vote, the request for one, an append
// response) leaves before the Append it rests on came back to Persisted.
//
// A mind is a pure state machine. It has no clock, goroutine, disk or
// randomness of its own (raft draws the jitter of elections from the
// process-wide crypto/rand.Reader). One actor calls it and carries out what
// Take returns:
//
//	input...  →  Take  →  Append  to the disk, in order; back to Persisted
//	                      Message to the link
//	                      Entry   to the state machine
//	                      Answer  to whoever waits
package replica
