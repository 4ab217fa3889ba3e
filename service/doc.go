// Package service attaches the actor system of a Go program to a cluster of brokers: its
// actors send the messages of codec (Store, Read, Await, ...) to the PIDs of partitions
// and get the same answers as actors in a broker's own process.
//
// It promises that each message whose sender can be answered is answered exactly once,
// whatever becomes of brokers and lines; that messages of one sender to one partition
// go out in the order in which they were sent, over one line at a time; that no more is
// under way than the broker has granted; and that what waits here is bounded. It never
// makes a sender wait.
//
//	attachment.go   one call attaches, PIDs, Close
//	drive.go        the line: which broker, dialling, losing it
//	errands.go      what waits and what is under way, under the window
//	process.go      what stands behind a PID
//	ways.go         which attachment the PIDs of a cluster go by
package service
