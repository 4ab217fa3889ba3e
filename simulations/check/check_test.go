package check

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

var orders = codec.TopicPartition{Topic: "orders", Partition: 3}

// value is the hash of what the record token holds.
func value(token uint64) uint64 { return token * 1000 }

// acked is a record that was sent at 10*offset and acknowledged 5 later.
func acked(token uint64, offset codec.Offset) Produce {
	return Produce{Log: orders, Token: token, Value: value(token), Call: int64(10 * offset), Return: int64(10*offset + 5), Offset: offset}
}

func unknown(token uint64) Produce {
	return Produce{Log: orders, Token: token, Value: value(token), Outcome: Unknown}
}

func somewhere(token uint64) Produce {
	p := acked(token, 0)
	p.Somewhere = true
	return p
}

func failed(token uint64) Produce {
	return Produce{Log: orders, Token: token, Value: value(token), Outcome: Failed}
}

// read is what a session got: pairs of offset and token.
func read(session string, pairs ...uint64) (all []Read) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, Read{Log: orders, Session: session, Offset: codec.Offset(pairs[i]), Token: pairs[i+1], Value: value(pairs[i+1]),
			Call: 1_000_000, Return: 1_000_001})
	}
	return all
}

func join(sessions ...[]Read) (all []Read) {
	for _, s := range sessions {
		all = append(all, s...)
	}
	return all
}

func TestGoodHistories(t *testing.T) {
	for name, h := range map[string]History{
		"nothing": {Complete: true},
		"all is read": {Complete: true,
			Produces: []Produce{acked(1, 0), acked(2, 1), acked(3, 2)}, Reads: read("a", 0, 1, 1, 2, 2, 3)},
		"unknown, and not there": {Complete: true, Produces: []Produce{acked(1, 0), unknown(2)}, Reads: read("a", 0, 1)},
		"unknown, and there":     {Complete: true, Produces: []Produce{acked(1, 0), unknown(2)}, Reads: read("a", 0, 1, 1, 2)},
		"failed, and not there":  {Complete: true, Produces: []Produce{acked(1, 0), failed(2)}, Reads: read("a", 0, 1)},
		"sent twice, there twice": {Complete: true,
			Produces: []Produce{{Log: orders, Token: 1, Value: value(1), Outcome: Unknown, Attempts: 2}}, Reads: read("a", 0, 1, 1, 1)},
		"there, and nobody knows where": {Complete: true, Produces: []Produce{acked(1, 0), somewhere(2)}, Reads: read("a", 0, 1, 1, 2)},
		"somewhere, and dropped":        {Complete: true, Start: map[codec.TopicPartition]codec.Offset{orders: 2}, Produces: []Produce{somewhere(2)}},
		"not read to the end":           {Produces: []Produce{acked(1, 0), acked(2, 1)}, Reads: read("a", 0, 1)},
		"gaps between offsets":          {Complete: true, Produces: []Produce{acked(1, 0), acked(2, 7)}, Reads: read("a", 0, 1, 7, 2)},
		"two readers":                   {Complete: true, Produces: []Produce{acked(1, 0), acked(2, 1)}, Reads: join(read("a", 0, 1, 1, 2), read("b", 1, 2))},
		"below the start":               {Complete: true, Start: map[codec.TopicPartition]codec.Offset{orders: 2}, Produces: []Produce{acked(1, 0), acked(2, 1), acked(3, 2)}, Reads: read("a", 0, 1, 2, 3)},
		"answers cross":                 {Complete: true, Produces: []Produce{{Log: orders, Token: 1, Value: value(1), Call: 0, Return: 100, Offset: 1}, {Log: orders, Token: 2, Value: value(2), Call: 50, Return: 60}}, Reads: read("a", 0, 2, 1, 1)},
		"one token, other logs":         {Complete: true, Produces: []Produce{acked(1, 0)}, Reads: read("a", 0, 1)},
	} {
		require.Empty(t, Check(h), name)
	}
}

func TestBadHistoriesAreNamed(t *testing.T) {
	three := []Produce{acked(1, 0), acked(2, 1), acked(3, 2)}
	other := acked(9, 0)
	other.Log = codec.TopicPartition{Topic: "other"}
	changed := read("a", 0, 1)
	changed[0].Value++
	early := read("a", 0, 1)
	early[0].Return = -1
	for _, c := range []struct {
		name string
		h    History
		want []string // anomaly offset token
	}{
		{"a hole", History{Produces: three, Reads: join(read("a", 0, 1), read("b", 2, 3))}, []string{"lost-write 1 2"}},
		{"a hole that a session crosses", History{Produces: three, Reads: read("a", 0, 1, 2, 3)}, []string{"lost-write 1 2", "poll-skip 1 2"}},
		{"a lost tail", History{Complete: true, Produces: three, Reads: read("a", 0, 1, 1, 2)}, []string{"unseen 2 3"}},
		{"stored somewhere, and nowhere", History{Complete: true, Produces: []Produce{somewhere(1)}}, []string{"unseen 0 1"}},
		{"all lost", History{Complete: true, Produces: three[:1]}, []string{"unseen 0 1"}},
		{"twice", History{Produces: three[:1], Reads: read("a", 0, 1, 1, 1)}, []string{"duplicate 1 1"}},
		{"more often than it was sent", History{Produces: []Produce{{Log: orders, Token: 1, Value: value(1), Outcome: Unknown, Attempts: 2}},
			Reads: read("a", 0, 1, 1, 1, 2, 1)}, []string{"duplicate 2 1"}},
		{"acknowledged here, read there", History{Produces: three[:1], Reads: read("a", 4, 1)}, []string{"duplicate 0 1"}},
		{"two at one offset", History{Produces: []Produce{acked(1, 0), unknown(2)}, Reads: join(read("a", 0, 1), read("b", 0, 2))},
			[]string{"inconsistent-offsets 0 2"}},
		{"two acknowledged at one offset", History{Produces: []Produce{acked(1, 0), acked(2, 0)}, Reads: read("a", 0, 1)},
			[]string{"inconsistent-offsets 0 2", "lost-write 0 2"}},
		{"backwards", History{Produces: three, Reads: read("a", 0, 1, 1, 2, 0, 1, 1, 2, 2, 3)}, []string{"nonmonotonic-poll 0 1"}},
		{"the same again", History{Produces: three[:1], Reads: read("a", 0, 1, 0, 1)}, []string{"nonmonotonic-poll 0 1"}},
		{"skipped what another read", History{Produces: three, Reads: join(read("a", 0, 1, 2, 3), read("b", 1, 2))}, []string{"poll-skip 1 2"}},
		{"nobody sent it", History{Produces: three[:1], Reads: read("a", 0, 1, 1, 7)}, []string{"invented 1 7"}},
		{"told that it failed", History{Produces: []Produce{failed(1)}, Reads: read("a", 0, 1)}, []string{"invented 0 1"}},
		{"changed bytes", History{Produces: []Produce{unknown(1)}, Reads: changed}, []string{"invented 0 1"}},
		{"changed bytes of an acknowledged", History{Produces: three[:1], Reads: changed}, []string{"inconsistent-offsets 0 1", "invented 0 1"}},
		{"read before it was sent", History{Produces: []Produce{unknown(1)}, Reads: early}, []string{"invented 0 1"}},
		{"sent elsewhere", History{Produces: []Produce{other}, Reads: read("a", 0, 9)}, []string{"invented 0 9"}},
		{"against the order of time", History{Produces: []Produce{
			{Log: orders, Token: 1, Value: value(1), Call: 0, Return: 5, Offset: 1},
			{Log: orders, Token: 2, Value: value(2), Call: 10, Return: 15, Offset: 0}}}, []string{"reordered 1 1"}},
	} {
		var got []string
		for _, v := range Check(c.h) {
			require.NotEmpty(t, v.Says)
			require.Contains(t, v.String(), string(v.Anomaly))
			got = append(got, fmt.Sprint(v.Anomaly, " ", v.Offset, " ", v.Token))
		}
		require.ElementsMatch(t, c.want, got, c.name)
	}
}

func TestATokenNamesOneRecord(t *testing.T) {
	require.Panics(t, func() { Check(History{Produces: []Produce{acked(1, 0), acked(1, 1)}}) })
}

// TestEveryBrokenHistoryIsFound takes a good history of a thousand records and
// breaks it in one place, in each way at each of many places.
func TestEveryBrokenHistoryIsFound(t *testing.T) {
	const n = 1000
	good := func() (h History) {
		h.Complete = true
		for i := range uint64(n) {
			h.Produces = append(h.Produces, acked(i+1, codec.Offset(i)))
			h.Reads = append(h.Reads, read("a", i, i+1)...)
		}
		return h
	}
	require.Empty(t, Check(good()))
	for name, broken := range map[string]func(h *History, i int){
		"lost":     func(h *History, i int) { h.Reads = append(h.Reads[:i], h.Reads[i+1:]...) },
		"changed":  func(h *History, i int) { h.Reads[i].Value++ },
		"swapped":  func(h *History, i int) { h.Reads[i].Token, h.Reads[i].Value = n+1, value(n+1) },
		"shifted":  func(h *History, i int) { h.Reads[i].Offset++ },
		"replayed": func(h *History, i int) { h.Reads = append(h.Reads[:i+1], h.Reads[i:]...) },
		"denied":   func(h *History, i int) { h.Produces[i].Outcome = Failed },
	} {
		for i := 0; i < n; i += 37 {
			h := good()
			broken(&h, i)
			require.NotEmpty(t, Check(h), "%s at %d", name, i)
		}
	}
}
