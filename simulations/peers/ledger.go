package main

import (
	"fmt"
	"os"
	"syscall"
)

// ledger is a shared memory file in which the load marks each batch that was
// acknowledged, a byte a batch: it outlives the load's kill -9.
type ledger struct {
	partitions int
	cells      []byte
}

// ledgerBatches is how many batches of a partition can be marked.
const ledgerBatches = 4 << 20

func openLedger(name string, partitions int) (*ledger, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	defer f.Close()
	size := partitions * ledgerBatches
	if err := f.Truncate(int64(size)); err != nil {
		return nil, fmt.Errorf("size ledger: %w", err)
	}
	cells, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map ledger: %w", err)
	}
	return &ledger{partitions, cells}, nil
}

// acknowledge marks one batch. Each batch has a byte of its own, so no two
// goroutines write the same.
func (l *ledger) acknowledge(partition int, batch uint64) {
	l.cells[partition*ledgerBatches+int(batch)] = 1
}

func (l *ledger) close() error { return syscall.Munmap(l.cells) }

// census finds which acknowledged batches are whole in what was read back.
type census struct {
	ledger *ledger
	batch  int
	seen   []uint32 // records of each batch
}

func (l *ledger) census(batch int) *census {
	return &census{ledger: l, batch: batch, seen: make([]uint32, len(l.cells))}
}

func (c *census) see(record []byte) error {
	partition, number, _, err := parseRecord(record)
	if err != nil {
		return err
	}
	if partition >= c.ledger.partitions || number >= ledgerBatches {
		return fmt.Errorf("partition %d, batch %d: no such record was sent", partition, number)
	}
	c.seen[partition*ledgerBatches+int(number)]++
	return nil
}

// result counts records: acknowledged, and of those missing.
func (c *census) result() (acknowledged, missing int) {
	for i, marked := range c.ledger.cells {
		if marked == 0 {
			continue
		}
		acknowledged += c.batch
		missing += max(0, c.batch-int(c.seen[i]))
	}
	return acknowledged, missing
}
