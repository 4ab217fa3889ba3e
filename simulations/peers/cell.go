package main

import (
	"fmt"
	"time"
)

// class says when a system answers.
type class string

const (
	classD class = "D" // after an fsync
	classP class = "P" // from the page cache
)

// shape is what the generator does in one cell; the same for every system.
type shape struct {
	Verb       string        // produce or consume
	Partitions int           // streams, for NATS
	RecordSize int           // bytes of a value
	Batch      int           // records that leave together
	InFlight   int           // batches without an answer, per partition
	Rate       float64       // records a second in all; 0 = as fast as answers come (closed loop)
	WarmUp     time.Duration // not measured
	During     time.Duration // measured
	Records    int           // consume: the backlog
}

func (s shape) batchBytes() int { return s.Batch * s.RecordSize }

// cell is one row of a table: a shape, and who is asked.
type cell struct {
	Name    string
	Says    string
	Class   class
	Shape   shape
	Drivers []string
	// Beside are systems of the other class that a goal compares with. They are
	// run in turn with Drivers and printed apart.
	Beside []string
	// HalfOf names an earlier cell: Rate is half of what Drivers[0] did there.
	HalfOf string
	// Cold leaves out the ballast: memory that is written to was not in use.
	Cold bool
}

// The names of the systems.
const (
	troupeD   = "troupe"
	troupeP   = "troupe os"
	embeddedD = "troupe embedded"
	embeddedP = "troupe embedded os"
	producerD = "troupe producer"
	plain4    = "4 plain files"
	plain1    = "1 plain file"
	plainP    = "4 plain files, no fsync"
	natsD     = "nats sync always"
	natsP     = "nats default"
)

// cells are all that is measured, for so long each.
func cells(during time.Duration) []cell {
	produce := func(partitions, recordSize, batch, inFlight int) shape {
		return shape{Verb: "produce", Partitions: partitions, RecordSize: recordSize, Batch: batch, InFlight: inFlight, WarmUp: during / 5, During: during}
	}
	consume := func(partitions, recordSize, batch, records int) shape {
		return shape{Verb: "consume", Partitions: partitions, RecordSize: recordSize, Batch: batch, InFlight: 8, Records: records}
	}
	backlog := int(during.Seconds() * 300_000)
	all := []cell{
		{Name: "produce-D", Says: "1 KiB records in 64 KiB batches, 6 partitions, 8 batches in flight each; acknowledged after an fsync", Class: classD,
			Shape: produce(6, 1024, 64, 8), Drivers: []string{troupeD, producerD, embeddedD, plain4, natsD}, Beside: []string{natsP}},
		{Name: "half-D", Says: "the same at half of the rate that troupe reached, latency from the intended time", Class: classD,
			Shape: produce(6, 1024, 64, 1024), Drivers: []string{troupeD}, HalfOf: "produce-D"},
		{Name: "produce-P", Says: "the same; acknowledged from the page cache", Class: classP,
			Shape: produce(6, 1024, 64, 8), Drivers: []string{troupeP, embeddedP, plainP, natsP}},
		{Name: "one-D", Says: "one record of 1 KiB, one in flight, one partition", Class: classD,
			Shape: produce(1, 1024, 1, 1), Drivers: []string{troupeD, embeddedD, plain1, natsD}},
		{Name: "single-D", Says: "batches of one record of 1 KiB, 64 in flight in each of 6 partitions", Class: classD,
			Shape: produce(6, 1024, 1, 64), Drivers: []string{troupeD, natsD}},
		{Name: "consume", Says: "a backlog of 1 KiB records, 6 partitions, read to its end", Class: classP,
			Shape: consume(6, 1024, 64, backlog), Drivers: []string{troupeP, natsP}},
	}
	all = append(all, cell{Name: "produce-D-cold", Says: "produce-D again, in memory that nobody used before (see How)", Class: classD, Cold: true,
		Shape: produce(6, 1024, 64, 8), Drivers: []string{troupeD, plain4}, Beside: []string{natsP}})
	for _, partitions := range []int{1, 12, 48} {
		all = append(all, cell{Name: fmt.Sprintf("partitions-%d-D", partitions), Says: fmt.Sprintf("1 KiB records in 64 KiB batches, %d partitions", partitions),
			Class: classD, Shape: produce(partitions, 1024, 64, 8), Drivers: []string{troupeD, natsD}})
	}
	for _, size := range []int{100, 10 << 10} {
		batch := max(1, (64<<10)/size)
		all = append(all, cell{Name: fmt.Sprintf("record-%d-D", size), Says: fmt.Sprintf("records of %d bytes in batches of %d, 6 partitions", size, batch),
			Class: classD, Shape: produce(6, size, batch, 8), Drivers: []string{troupeD, natsD}})
	}
	return all
}
