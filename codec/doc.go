// Package codec owns the vocabulary of Troupe: the names of things (id.go),
// the record batch (batch.go and its neighbours), the descriptor of a batch
// that consensus carries (descriptor.go), the frames and messages that leave
// a process, and the closed table of codes that answer them (code.go).
//
// It promises three things. What it accepts from outside it has checked
// whole: a Batch that passed Verify is well formed, a frame that passed Check
// can be given to any decoder. What it writes is byte for byte what Kafka's
// record batch v2 and docs/PROTOCOL.md say. And nothing here owns a
// goroutine, reads a clock or touches a disk.
package codec
