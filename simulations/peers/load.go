package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// loadJob is what a load process is told, on its command line.
type loadJob struct {
	System  string
	Opened  opened
	Ledger  string // file
	Broker  int    // process of the server; 0 without one
	Metrics string // where the server tells of itself; empty when it does not
}

// loadResult is one line of JSON on the load's standard output. After it the
// load goes on sending, so that a kill meets it at work.
type loadResult struct {
	Records int64
	Bytes   int64
	Elapsed time.Duration
	P50     float64 // milliseconds
	P99     float64
	P999    float64
	Max     float64

	ServerCPU time.Duration // 0 without a server
	LoadCPU   time.Duration
	ServerRSS int64 // bytes, at its most
	Counted   counted
}

// load is a load process: it sends, prints one line when the time of the cell
// is over, and goes on sending until its input ends or until it is killed.
func load(ctx context.Context, job loadJob) error {
	d, err := open(ctx, job.System, job.Opened)
	if err != nil {
		return err
	}
	if job.Opened.Shape.Verb == "consume" {
		r, err := consumeAll(ctx, job, d)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	ledger, err := openLedger(job.Ledger, job.Opened.Shape.Partitions)
	if err != nil {
		return err
	}
	g := newGenerator(job.Opened.Shape, d, ledger)
	var printed atomic.Bool
	if job.Opened.Shape.Verb == "produce" {
		go func() {
			r, err := measure(g, job)
			if err == nil {
				printed.Store(true)
				err = json.NewEncoder(os.Stdout).Encode(r)
			}
			if err != nil {
				g.stop(err)
				return
			}
			var p [1]byte
			_, _ = os.Stdin.Read(p[:]) // ends when the parent closes it
			g.stop(nil)
		}()
	}
	g.run(ctx)
	if g.failed != nil && !printed.Load() { // afterwards the server may be killed
		return g.failed
	}
	return nil
}

// measure warms up, then watches for the time of the cell.
func measure(g *generator, job loadJob) (r loadResult, err error) {
	s := job.Opened.Shape
	if !sleep(g, s.WarmUp) {
		return r, fmt.Errorf("ended while warming up: %w", g.failed)
	}
	before, own, was := usageOf(job.Broker), ownCPU(), count(job.Metrics)
	begun := time.Now()
	g.measuring.Store(true)
	if !sleep(g, s.During) {
		return r, fmt.Errorf("ended while measured: %w", g.failed)
	}
	g.measuring.Store(false)
	r.Elapsed = time.Since(begun)
	after := usageOf(job.Broker)
	r.ServerCPU, r.LoadCPU, r.ServerRSS = after.cpu-before.cpu, ownCPU()-own, after.rss
	r.Counted = count(job.Metrics).since(was)
	r.Records = g.batches.Load() * int64(s.Batch)
	r.Bytes = r.Records * int64(s.RecordSize)
	h := g.latencies()
	ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e3 }
	r.P50, r.P99, r.P999, r.Max = ms(50), ms(99), ms(99.9), float64(h.Max())/1e3
	return r, nil
}

// sleep waits; false when the generator ended first.
func sleep(g *generator, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-g.stopped:
		return false
	}
}

// consumeAll reads all partitions side by side, once, and says how fast.
func consumeAll(ctx context.Context, job loadJob, d driver) (r loadResult, err error) {
	s := job.Opened.Shape
	before, own, was := usageOf(job.Broker), ownCPU(), count(job.Metrics)
	begun := time.Now()
	var running sync.WaitGroup
	errs := make([]error, s.Partitions)
	counts := make([]int64, s.Partitions)
	for p := range s.Partitions {
		running.Go(func() {
			next := uint64(0)
			errs[p] = d.read(ctx, p, func(record []byte) (bool, error) {
				_, number, at, err := parseRecord(record)
				if err == nil && number*uint64(s.Batch)+uint64(at) != next {
					err = fmt.Errorf("partition %d: record %d of batch %d came where %d was due", p, at, number, next)
				}
				next++
				counts[p]++
				return true, err
			})
		})
	}
	running.Wait()
	r.Elapsed = time.Since(begun)
	for p := range errs {
		if errs[p] != nil {
			return r, fmt.Errorf("read partition %d: %w", p, errs[p])
		}
		r.Records += counts[p]
	}
	after := usageOf(job.Broker)
	r.ServerCPU, r.LoadCPU, r.ServerRSS = after.cpu-before.cpu, ownCPU()-own, after.rss
	r.Counted = count(job.Metrics).since(was)
	r.Bytes = r.Records * int64(s.RecordSize)
	return r, nil
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("peers: getrusage: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
