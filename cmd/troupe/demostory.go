package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// change is one change to a booking, with all that is then true of it.
type change struct {
	Number  int    `json:"number"` // of the story, from 0
	Booking string `json:"booking"`
	Version int    `json:"version"` // of the booking, from 1
	What    string `json:"what"`    // booked, changed, paid or cancelled
	Flight  string `json:"flight"`
	From    string `json:"from"`
	To      string `json:"to"`
	Seat    string `json:"seat"`
	Fare    int    `json:"fare"` // cents
	Paid    bool   `json:"paid"`

	at codec.Millis // the record's timestamp
}

// table is what is true of each booking in the end.
type table map[string]change

// story is a day of bookings. The same number of bookings is always the same
// story.
type story struct {
	changes []change // in order of time
	table   table
}

var (
	storyDay = codec.Millis(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli())
	flights  = [][3]string{{"LH 404", "FRA", "JFK"}, {"LH 714", "MUC", "HND"}, {"AF 1118", "CDG", "MUC"}, {"BA 902", "LHR", "FRA"},
		{"KL 1775", "AMS", "FRA"}, {"OS 88", "VIE", "EWR"}, {"LX 16", "ZRH", "JFK"}, {"SK 925", "CPH", "IAD"}}
)

const hour = codec.Millis(60 * 60 * 1000)

func newStory(bookings int) *story {
	chance := rand.New(rand.NewPCG(404, 714))
	s := &story{table: table{}}
	for i := range bookings {
		s.changes = append(s.changes, life(chance, i)...)
	}
	slices.SortStableFunc(s.changes, func(a, b change) int { return int(a.at - b.at) })
	for i := range s.changes {
		s.changes[i].Number = i
		s.table[s.changes[i].Booking] = s.changes[i]
	}
	return s
}

// life is all that happens to one booking, in order.
func life(chance *rand.Rand, i int) []change {
	f := flights[chance.IntN(len(flights))]
	c := change{
		Booking: locator(i), Version: 1, What: "booked", Flight: f[0], From: f[1], To: f[2],
		Seat: seat(chance), Fare: 9900 + 100*chance.IntN(900), at: storyDay + 6*hour + codec.Millis(chance.Int64N(int64(12*hour))),
	}
	all := []change{c}
	then := func(what string) {
		c.Version++
		c.What = what
		c.at += 1 + codec.Millis(chance.Int64N(int64(hour)))
		all = append(all, c)
	}
	for range chance.IntN(3) {
		c.Seat = seat(chance)
		then("changed")
	}
	if chance.IntN(10) > 0 {
		c.Paid = true
		then("paid")
	}
	if chance.IntN(8) == 0 {
		c.Seat = ""
		then("cancelled")
	}
	return all
}

func seat(chance *rand.Rand) string {
	return fmt.Sprintf("%d%c", 1+chance.IntN(42), "ABCDEFHK"[chance.IntN(8)])
}

// locator is a booking's name: six letters and digits that nobody confuses,
// another for each i.
func locator(i int) string {
	const letters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ" // 32 of them
	n := uint32(i) * 0x2545f491 & (1<<30 - 1)          // odd, so that no two i meet
	name := make([]byte, 6)
	for k := range name {
		name[k] = letters[n&31]
		n >>= 5
	}
	return string(name)
}

// encode is the value of c's record.
func (c *change) encode() []byte {
	p, err := json.Marshal(c)
	if err != nil {
		panic("demo: encode change: " + err.Error())
	}
	return p
}

// decodeChange reads a record.
func decodeChange(r *codec.Record) (change, error) {
	var c change
	if err := json.Unmarshal(r.Value, &c); err != nil {
		return c, fmt.Errorf("record at offset %d: %w", r.Offset, err)
	}
	c.at = r.Timestamp
	return c, nil
}

// partitionOf is where the changes of a booking go.
func partitionOf(booking string) codec.Partition {
	return codec.PartitionFor([]byte(booking), demoPartitions)
}

// ends are, by partition, the offset behind the last change of the story.
func (s *story) ends() []codec.Offset {
	all := make([]codec.Offset, demoPartitions)
	for _, c := range s.changes {
		all[partitionOf(c.Booking)]++
	}
	return all
}

func clock(t codec.Millis) string { return time.UnixMilli(int64(t)).UTC().Format("15:04") }
