package actors

import (
	"io"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// Clock is time, passed in: the machine's, or the simulated world's.
type Clock interface {
	Now() codec.Millis
	// After calls f once after d, from anywhere; f must only send a message.
	// cancel prevents that when it comes in time.
	After(d time.Duration, f func()) (cancel func())
}

// Ports are how chance, time and the disk enter. The zero value is the real
// world.
type Ports struct {
	Clock  Clock
	Chance io.Reader
	FS     wal.FS
	// Seen is told of rare paths that were taken, and of some why; nil outside of
	// simulations.
	Seen func(what Seen, why string)
	// Link reaches other brokers; nil for a broker that is alone.
	Link Link
	// Run has the disk port's jobs run: a wal.Pool's Run.
	Run func(job func())
	// Props are options for every actor: a dispatcher and a mailbox.
	Props []actor.PropsOption
	// WALFileBytes makes the files of descriptors small, so that a short
	// simulation sees them end. 0 is the real size.
	WALFileBytes int64
	// SnapshotEvery is how many commands come between snapshots of the metadata.
	// 0 is the real number.
	SnapshotEvery codec.Index
}

// Config is what a broker is started with. The zero value of each field but
// Dir is a good default.
type Config struct {
	// Dir is the data directory; one broker at a time may use it.
	Dir string
	// Node is the broker's name, stored with its data. Empty means the stored
	// name, or NodeDefault. Another name than the stored one is refused.
	Node codec.NodeID
	// NodeDefault names a broker whose directory is new; the host's name by
	// default.
	NodeDefault codec.NodeID
	// Address is where clients reach this broker, told to other brokers.
	Address string
	// Link is where other brokers reach this one, told to them; empty for a broker
	// that is alone.
	Link string
	// Rack is what this broker shares its luck with, a room or a power line.
	// Replicas are spread over racks.
	Rack string
	// Disk names a new data directory; zero has a name drawn. One that exists keeps
	// its own, and another one is refused.
	Disk codec.UUID
	// Joining, when the directory is new, joins a cluster that exists instead of
	// founding one.
	Joining *Joining
	// Changed is called with each state of the metadata that is published, in an
	// actor's turn: it must not wait.
	Changed func(*cluster.State)
	// Launched is called by Start with the broker before it has started: what others
	// send it is needed for that.
	Launched func(*Broker)
	// Founding, when the directory is new, founds a cluster together with other
	// brokers. Without it a new directory founds a cluster of one.
	Founding *Founding
	// Member says that this broker belongs to a cluster already: a new directory
	// is then one that was lost, and refused.
	Member bool
	// Failed is called once when a broker that has started cannot go on, with its logs
	// closed, from anywhere: the program is to end. What it was started for says why.
	Failed func(error)
	// InFlightBytes bounds the batches that were let in and are not answered,
	// 256 MiB by default. At the bound, producers wait.
	InFlightBytes int64
	// Log takes what the broker and its libraries have to say; nil is silence.
	Log *slog.Logger
	// Ports are for simulations.
	Ports Ports
}

// Tunings of bodies. They are not settings: nothing outside depends on them.
const (
	tickEvery      = 100 * time.Millisecond // raft's tick, for groups of several
	houseworkEvery = 10 * time.Second       // retention, and rest after a write
	knockAfter     = 5 * time.Second        // from the leader's being known to asking it, when nothing else comes
	retryEvery     = time.Second            // looking for room on a full disk
	stallAfter     = 10 * time.Second       // a write that takes longer has an unknown outcome
	dismissAfter   = time.Minute            // from the burial of a replica to the end of its actor
	closeWait      = 5 * time.Second        // for the disk, before a log is closed
	inFlightBytes  = 256 << 20
	snapshotEvery  = 1000 // commands between snapshots of metadata
	reserveBytes   = 2 * wal.SegmentBytesDefault
	// reopenBytes must be free for a full log to be opened again. It is less
	// than the reserve, below which producers are refused: retention and trims
	// write a little to make much room.
	reopenBytes = 64 << 10
)
