// Package world owns a broker, and later a cluster, in one process from one
// seed: the scheduler (scheduler.go) that is protoactor's dispatcher and
// mailbox (mailbox.go), the virtual clock (clock.go), chance (rand.go), what
// happened (trace.go), lives that can be killed (life.go), and the disk
// (disk.go and its neighbours) that forgets at a crash what was not fsynced.
//
// It promises that the same seed gives the same run: the same steps in the
// same order at the same virtual times, and so the same hash, in any process.
// It owns no goroutine, and everything in it belongs to the goroutine that
// made the World.
//
// There is one World at a time in a process, because raft draws the jitter of
// its elections from crypto/rand.Reader, which New replaces and Close
// restores. More seeds at once are more processes. A Disk without a World is
// free of that.
package world
