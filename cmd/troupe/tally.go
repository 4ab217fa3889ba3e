package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
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
	first   error // that of the missing line, when there is one
	missing int64 // the first line that is not certainly stored, 0 = none
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

// says is how far it is, for people.
func (t *tally) says() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return count(t.stored, "record") + " stored"
}

// line is told what became of the record of a line, counted from 1.
func (t *tally) line(number int64) client.Done {
	return func(p codec.Partition, at codec.Offset, err error) {
		if err != nil {
			t.miss(number, err)
			return
		}
		t.store(p, at)
	}
}

func (t *tally) miss(line int64, err error) {
	t.mu.Lock()
	if !errors.Is(err, codec.E(codec.Unknown)) {
		t.refused++
	}
	if t.missing == 0 || line < t.missing {
		t.missing, t.first = line, err
	}
	t.mu.Unlock()
	t.stop(err)
}

func (t *tally) store(p codec.Partition, at codec.Offset) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stored++
	if at == client.NoOffset {
		return // stored, and nobody knows where
	}
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
	if why == nil && unknown == 0 {
		return produced{Records: t.stored, Bytes: t.bytes, Offsets: t.offsets}, nil
	}
	if unknown+t.refused == 0 {
		return produced{}, fmt.Errorf("produce to %s: stopped after %s, all certainly stored: %w", topic, count(t.stored, "record"), why)
	}
	parts := []string{count(t.stored, "record") + " certainly stored"}
	if unknown > 0 {
		parts = append(parts, count(unknown, "record")+" of unknown outcome, they may be stored or not")
	}
	if t.refused > 0 {
		parts = append(parts, count(t.refused, "record")+" refused")
	}
	return produced{}, fmt.Errorf("produce to %s: %s; %s: %w", topic, strings.Join(parts, ", "), t.where(), why)
}

// where says which lines are certainly stored: those before the first that is
// not, and perhaps some behind it, in another partition or in flight with it.
func (t *tally) where() string {
	return fmt.Sprintf("line %d is the first that is not certainly stored, of those behind it %s are", t.missing, grouped(t.stored-(t.missing-1)))
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
