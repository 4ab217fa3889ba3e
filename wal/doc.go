// Package wal owns one replica's log on one disk: the WAL of descriptors
// (tidwall/wal, invisible outside), the segment files of batches, the hard
// state, recovery after a crash, readers beside the writer, retention, and the
// replacement of the whole by a snapshot of another replica.
//
// It promises that what Log.Write reported durable is found again, byte for
// byte, by the next Open, or that Open says Corrupt and names the place; and
// that a reader never gets bytes whose checksum does not hold.
package wal
