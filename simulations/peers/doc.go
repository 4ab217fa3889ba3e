// Command peers measures Troupe side by side with other ways to keep records:
// NATS JetStream as a real server, and plain files that a program appends and
// fsyncs itself. It promises that all are asked the same by the same
// generator, in turn, in one run; that what is acknowledged after an fsync
// (class D) and what is acknowledged from the page cache (class P) are never in
// one table; and that a system in class D is killed with -9 at the end of its
// cell and asked for everything that it acknowledged.
//
//	peers                  runs every cell and writes docs/BENCHMARKS.md
//	peers -cells REGEXP    runs some of them and only prints
//
// It starts itself again in two parts: as the load (load.go), which owns the
// generator and one driver, and, for what has no server, as that program too.
// The parent starts servers, kills them, and counts.
package main
