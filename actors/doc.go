// Package actors owns every body: the actors around the minds, with their
// mailboxes, disks, timers and replies; and the API of an embedded broker.
//
// The family:
//
//	broker            the keeper: keeps the replicas that metadata places here
//	├── metadata      the replica of group 1: a Partition whose machine is cluster.State
//	└── partition-N   the replica of group N: a Partition whose log is what readers read
//	front             no actor: what stands behind the PID of a partition
//	courier           brings commands to whoever leads the metadata, here or elsewhere
//
// It promises that an answer is given exactly once to whoever was let in;
// that a produce is answered with an offset only when its batch is committed
// and durable as the topic says; that readers see committed batches only; and
// that an actor never waits: the disk, the clock and chance are ports that
// answer by message.
//
// What each actor is told, by whom, and what it answers:
//
//	to          message      from                answer
//	partition   *Produce     a handle            reply: offset, or a code
//	partition   *await       a handle            done, once
//	front       *codec.Store any actor           *codec.Stored, once; and so on for
//	                                             each message of codec
//	partition   *propose     Broker, keeper      reply: the machine's result, or a code
//	partition   *opened      the disk port       -
//	partition   *persisted   the disk port       -
//	partition   *damaged     a reader            -
//	partition   *heard       the link            -
//	partition   *gone        keeper              -
//	courier     *errand      Broker, keeper      reply: what was decided, or a code
//	courier     *asked       the link            a letter
//	keeper      *ready       a partition         -
//	keeper      metadataChanged  metadata        -
//	keeper      *whenOpen    Broker              done, once
//	keeper      *handAll     Broker              done, once
package actors
