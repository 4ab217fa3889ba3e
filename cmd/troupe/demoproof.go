package main

import (
	"fmt"
	"maps"
	"strings"

	"github.com/troupe-mq/troupe/codec"
)

// proof compares what a log holds with the story that was published. It has
// no idea how the log works.
type proof struct {
	story    *story
	seen     []int          // by number of the change: how often
	versions map[string]int // by booking: the last
	next     map[codec.Partition]codec.Offset
	table    table // rebuilt from the log
	faults   []string
}

func newProof(s *story) *proof {
	return &proof{story: s, seen: make([]int, len(s.changes)), versions: map[string]int{}, next: map[codec.Partition]codec.Offset{}, table: table{}}
}

func (p *proof) fault(format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

// see takes the records of each partition in their order.
func (p *proof) see(n codec.Partition, r *codec.Record) {
	if r.Offset != p.next[n] {
		p.fault("partition %d: offset %d follows %d", n, r.Offset, p.next[n]-1)
	}
	p.next[n] = r.Offset + 1
	c, err := decodeChange(r)
	switch {
	case err != nil:
		p.fault("partition %d: %v", n, err)
		return
	case c.Number < 0 || c.Number >= len(p.seen) || c != p.story.changes[c.Number] || string(r.Key) != c.Booking:
		p.fault("partition %d, offset %d: %s version %d is not what was published", n, r.Offset, c.Booking, c.Version)
		return
	}
	if p.seen[c.Number]++; p.seen[c.Number] > 1 {
		p.fault("%s version %d is there %d times", c.Booking, c.Version, p.seen[c.Number])
		return
	}
	if before := p.versions[c.Booking]; c.Version < before {
		p.fault("%s version %d comes behind version %d", c.Booking, c.Version, before)
	}
	p.versions[c.Booking] = c.Version
	p.table[c.Booking] = c
}

// compare says where a table differs from the source.
func (p *proof) compare(what string, t table) {
	if maps.Equal(t, p.story.table) {
		return
	}
	differ := 0
	example := ""
	for booking, want := range p.story.table {
		if got, ok := t[booking]; !ok || got != want {
			differ++
			example = booking
		}
	}
	p.fault("%s has %d bookings, the source %d; %d differ, %s for one", what, len(t), len(p.story.table), differ, example)
}

// verdict is nil when the log holds the story, whole and in order.
func (p *proof) verdict() error {
	for i, n := range p.seen {
		if n == 0 {
			p.fault("%s version %d is lost", p.story.changes[i].Booking, p.story.changes[i].Version)
		}
	}
	p.compare("the table rebuilt from the log", p.table)
	if len(p.faults) == 0 {
		return nil
	}
	const most = 5
	return fmt.Errorf("the log differs from what was published in %d ways: %s", len(p.faults), strings.Join(p.faults[:min(most, len(p.faults))], "; "))
}

// checkSince says whether what was replayed from a time on is exactly what
// the story says happened.
func (s *story) checkSince(t codec.Millis, seen map[string]int64, early, skipped int64) error {
	want := map[string]int64{}
	var before int64
	for _, c := range s.changes {
		if c.at < t {
			before++
		} else {
			want[c.What]++
		}
	}
	if early != 0 || skipped != before || !maps.Equal(seen, want) {
		return fmt.Errorf("the replay from %s passed over %d changes and saw %v, %d of them earlier; the source has %d and %v", clock(t), skipped, seen, early, before, want)
	}
	return nil
}
