// Package check owns what must always hold of what clients saw, apart from
// what was done to the brokers meanwhile. A History is what they did and were
// told; Check names every violation in it as Jepsen's Kafka workload does.
//
// It promises to be pure: the same history gives the same violations in the
// same order, and it knows nothing of brokers, disks or the world, so one
// history from the world and one from real processes are judged alike.
//
// Source of the names: https://github.com/jepsen-io/jepsen, kafka workload.
package check
