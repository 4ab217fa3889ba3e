// Package cluster owns who owns what: the cluster's metadata as one immutable
// value, the commands that change it, and where replicas are placed.
//
// It promises: Apply is a pure function. The same commands in the same order
// give the same State on every broker and after every restart, the refused
// ones included; a State once given out never changes, so readers keep it
// without a lock; a snapshot restores it exactly. Ids of groups, replicas and
// producers are never given twice. Data of a deleted partition may be removed
// only while a tombstone says so: that the State does not mention a replica
// is no permission.
package cluster
