package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/troupe-mq/troupe/codec"
)

// tally counts what became of records that were given to a producer. Several
// goroutines may tell it.
type tally struct {
	stop func(error) // called with the first error

	mu      sync.Mutex
	given   int64
	bytes   int64
	stored  int64
	refused int64 // certainly not stored
	offsets map[codec.Partition][2]codec.Offset
	first   error
}

func newTally(stop func(error)) *tally {
	return &tally{stop: stop, offsets: map[codec.Partition][2]codec.Offset{}}
}

// taken is told of each record that the producer took.
func (t *tally) taken(bytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given++
	t.bytes += int64(bytes)
}

// answered is told what became of a record.
func (t *tally) answered(p codec.Partition, at codec.Offset, err error) {
	if err != nil {
		if !errors.Is(err, codec.E(codec.Unknown)) {
			t.mu.Lock()
			t.refused++
			t.mu.Unlock()
		}
		t.fail(err)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stored++
	if range_, ok := t.offsets[p]; ok {
		t.offsets[p] = [2]codec.Offset{min(range_[0], at), max(range_[1], at)}
	} else {
		t.offsets[p] = [2]codec.Offset{at, at}
	}
}

// fail remembers the first error and ends the reading of input.
func (t *tally) fail(err error) {
	t.mu.Lock()
	if t.first == nil {
		t.first = err
	}
	t.mu.Unlock()
	t.stop(err)
}

// verdict is what was stored, or an error that says how much is certain. All
// that was given must have been answered. stopped is why the input was not
// read to its end.
func (t *tally) verdict(topic codec.Topic, stopped error) (produced, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	why := t.first
	if why == nil {
		why = stopped
	}
	if errors.Is(why, context.Canceled) {
		why = errors.New("interrupted")
	}
	unknown := t.given - t.stored - t.refused
	switch {
	case why == nil && unknown == 0:
		return produced{Records: t.stored, Bytes: t.bytes, Offsets: t.offsets}, nil
	case unknown > 0:
		return produced{}, fmt.Errorf("produce to %s: %s certainly stored, %s of unknown outcome, they may be stored or not: %w", topic, count(t.stored, "record"), count(unknown, "record"), why)
	case t.refused > 0:
		return produced{}, fmt.Errorf("produce to %s: %s certainly stored, %s refused: %w", topic, count(t.stored, "record"), count(t.refused, "record"), why)
	}
	return produced{}, fmt.Errorf("produce to %s: stopped after %s, all certainly stored: %w", topic, count(t.stored, "record"), why)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
