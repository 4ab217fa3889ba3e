package actors

import "github.com/troupe-mq/troupe/codec"

// machine is a state machine on a log: its state is a function of the entries
// applied. The log of a topic's partition has none; its state is the log.
type machine interface {
	// apply takes the command of one committed entry; result goes to whoever
	// proposed it.
	apply(index codec.Index, command []byte) (result any)
	// snapshot is the whole state, for restore.
	snapshot() []byte
	restore(p []byte) error
	// settled tells that everything committed so far was applied.
	settled()
}
