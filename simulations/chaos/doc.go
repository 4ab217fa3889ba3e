// Package chaos owns scenarios on real processes: the built binary, real
// sockets, a real disk, and signals. What clients did and saw is judged by
// simulations/check, as in the simulated world.
//
// It promises that a scenario returns an error unless everything that the
// broker acknowledged is there, once, in order and unchanged; that what a
// scenario chooses comes from its seed, though the machine's timing does not;
// and that no process outlives its scenario.
//
// It runs on Linux: it reads /proc.
package chaos
