// Package world owns brokers in one process from one seed: the scheduler
// (scheduler.go) that is protoactor's dispatcher and mailbox (mailbox.go), the
// virtual clock (clock.go), chance (rand.go), what happened (trace.go), lives
// that can be killed (life.go), links (net.go), and the disk (disk.go and its
// neighbours) that forgets at a crash what was not fsynced. Everything else is
// the code that ships.
//
// # Testing a program of yours
//
// Test starts a cluster of three nodes for a test, in a bubble of
// testing/synctest, and gives it to you as a Live: addresses, a Dial for
// client.Options, and what may happen to nodes and links. The program is an
// ordinary one, with goroutines, timeouts and gateway/client; it needs to take
// the addresses and the client's Options from outside, and nothing else. Minutes
// of virtual time take parts of a second.
//
//	func TestNoBookingIsLost(t *testing.T) {
//		world.Test(t, world.Options{Seeds: 20}, func(t *testing.T, cluster *world.Live) {
//			cluster.CreateTopic("bookings", 4)
//			done := make(chan error, 1)
//			go func() { done <- program(t.Context(), cluster.Addresses(), client.Options{Dial: cluster.Dial}) }()
//			time.Sleep(20 * time.Second)
//			cluster.Kill(cluster.Leader("bookings", 0))
//			if err := <-done; err != nil {
//				t.Error(err)
//			}
//		})
//	}
//
// The Example of Test is a whole one. The seed decides what is drawn for the
// cluster, Go how the program's goroutines are interleaved: a run begins as it
// did, its faults are repeated, and what the program meets of them may differ.
// docs/TESTING.md says what belongs in such a test and what cannot be in it.
//
// # Simulations of brokers alone
//
// New makes a World without goroutines: RunOneNode and Play use it,
// as troupe sim does. It promises that the same seed gives the same run: the
// same steps in the same order at the same virtual times, and so the same hash,
// in any process. It owns no goroutine, and everything in it belongs to the
// goroutine that made the World.
//
// Of both there is one at a time in a process, because raft draws the jitter of
// its elections from crypto/rand.Reader, which the World replaces until it is
// closed. Test waits for its turn, so parallel tests may call it; more seeds at
// once are more processes. A Disk without a World is free of that.
package world
