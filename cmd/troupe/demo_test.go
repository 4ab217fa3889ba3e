package main

import (
	"context"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func TestDemo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	r := command("", "demo")
	require.NoError(t, r.failed)
	require.Empty(t, r.err)
	for _, says := range []string{
		"3,000 bookings with 9,042 changes to come",
		"reservations  published 9,042 changes in ",
		"seat map      copied each change into a table of its own as it came: 3,000 bookings",
		"alerts        heard over TCP of 367 cancellations, half of them within ",
		"analyst       came later, went back to 12:00, passed over 4,008 and replayed 5,034 in ",
		"1,531 booked, 1,634 changed, 1,645 paid, 224 cancelled",
		"restart       the broker was closed and started again on the same directory in ",
		"Three brokers, each with a directory of its own, which found a cluster in ",
		"reservations  published 9,042 changes again in ",
		"led, and was killed in the middle: nothing was acknowledged for ",
		"n4            joined and took the place of n",
		"Proved: n4 has all 9,042 changes, none lost, none doubled, each booking's in order.\n",
		"Proved: all 9,042 changes are there after the restart, none lost, none doubled, each booking's in order;\nthe copied table equals the source in all 3,000 bookings.\n",
	} {
		require.Contains(t, r.out, says)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "it leaves nothing behind")
}

func TestAnInterruptedDayEnds(t *testing.T) {
	p := &play{out: io.Discard, story: newStory(10), dir: t.TempDir()}
	require.NoError(t, p.open(context.Background()))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, p.day(ctx), context.Canceled)
	require.NoError(t, p.close(context.Background()))
}

// A demo that finds something wrong fails, and cleans up all the same.
func TestADemoThatDoesNotHold(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := newStory(100)
	s.table["GHOST"] = change{Booking: "GHOST"}
	require.EqualError(t, demo(context.Background(), io.Discard, s), "the log differs from what was published in 2 ways: "+
		"the table copied before the restart has 100 bookings, the source 101; 1 differ, GHOST for one; "+
		"the table rebuilt from the log has 100 bookings, the source 101; 1 differ, GHOST for one")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestTheStoryHolds(t *testing.T) {
	s := newStory(500)
	require.Equal(t, s, newStory(500), "it is the same each time")
	require.Len(t, s.table, 500, "no two bookings have the same name")
	versions := map[string]int{}
	for i, c := range s.changes {
		require.Equal(t, i, c.Number)
		require.Equal(t, versions[c.Booking]+1, c.Version)
		versions[c.Booking] = c.Version
		require.True(t, i == 0 || s.changes[i-1].at <= c.at)
	}
}

// logged is a story as a faultless log would hold it.
func logged(s *story) [][]codec.Record {
	log := make([][]codec.Record, demoPartitions)
	for i := range s.changes {
		c := &s.changes[i]
		p := partitionOf(c.Booking)
		log[p] = append(log[p], codec.Record{Offset: codec.Offset(len(log[p])), Timestamp: c.at, Key: []byte(c.Booking), Value: c.encode()})
	}
	return log
}

// renumbered gives records the offsets that a log would.
func renumbered(all []codec.Record) []codec.Record {
	for i := range all {
		all[i].Offset = codec.Offset(i)
	}
	return all
}

// The proof finds each kind of fault; without that it proves nothing.
func TestTheProofFinds(t *testing.T) {
	story := newStory(200)
	for _, c := range []struct {
		name string
		harm func([]codec.Record) []codec.Record
		says string
	}{
		{"nothing", func(l []codec.Record) []codec.Record { return l }, ""},
		{"a lost change", func(l []codec.Record) []codec.Record { return renumbered(slices.Delete(l, 7, 8)) }, " is lost"},
		{"a hole", func(l []codec.Record) []codec.Record { return slices.Delete(l, 7, 8) }, "offset 8 follows 6"},
		{"a lost end", func(l []codec.Record) []codec.Record { return l[:len(l)-1] }, " is lost"},
		{"a doubled change", func(l []codec.Record) []codec.Record { return renumbered(slices.Insert(l, 8, l[7])) }, " is there 2 times"},
		{"another order", func(l []codec.Record) []codec.Record { slices.Reverse(l); return renumbered(l) }, " comes behind version "},
		{"a changed value", func(l []codec.Record) []codec.Record { l[3].Value = l[2].Value; return l }, "is not what was published"},
		{"a changed key", func(l []codec.Record) []codec.Record { l[3].Key = []byte("x"); return l }, "is not what was published"},
		{"a changed time", func(l []codec.Record) []codec.Record { l[3].Timestamp++; return l }, "is not what was published"},
		{"rubbish", func(l []codec.Record) []codec.Record { l[3].Value = []byte("{"); return l }, "record at offset 3: "},
	} {
		log := logged(story)
		log[2] = c.harm(log[2])
		p := newProof(story)
		for n, records := range log {
			for i := range records {
				p.see(codec.Partition(n), &records[i])
			}
		}
		if err := p.verdict(); c.says == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.says, c.name)
		}
	}
	p := newProof(story)
	copied := table{"x": change{}}
	p.compare("the copy", copied)
	require.Contains(t, p.faults[0], "the copy has 1 bookings, the source 200; 200 differ, ")
	noon := storyDay + 12*hour
	require.ErrorContains(t, story.checkSince(noon, map[string]int64{"booked": 1}, 0, 3), "the replay from 12:00 passed over 3 changes")
}
