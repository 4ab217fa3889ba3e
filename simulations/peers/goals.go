package main

import "fmt"

// goal is one sentence of what was asked for.
type goal struct {
	says  string
	value func(m *measured) (got, want float64, ok bool) // ok: it was measured
	below bool                                           // got is to be below want
	unit  string
}

// ratio is a's MB/s to b's, both medians of one run.
func ratio(cellA, a, cellB, b string) func(m *measured) (float64, bool) {
	return func(m *measured) (float64, bool) {
		x, y := m.of(cellA, a).mb().mid, m.of(cellB, b).mb().mid
		return x / y, x > 0 && y > 0
	}
}

func times(least float64, of func(m *measured) (float64, bool)) func(m *measured) (float64, float64, bool) {
	return func(m *measured) (float64, float64, bool) {
		got, ok := of(m)
		return got, least, ok
	}
}

var goals = []goal{
	{says: "durable produce, to NATS default (which does not fsync)", value: times(4, ratio("produce-D", troupeD, "produce-D", natsP)), unit: "×"},
	{says: "durable produce, to four plain files", value: times(0.5, ratio("produce-D", troupeD, "produce-D", plain4)), unit: "×"},
	{says: "p99 at half load, ms", below: true, value: func(m *measured) (float64, float64, bool) {
		o := m.of("half-D", troupeD)
		return o.p99().mid, 15, len(o.Results) > 0
	}},
	{says: "produce from the page cache, to NATS default", value: times(6, ratio("produce-P", troupeP, "produce-P", natsP)), unit: "×"},
	{says: "one in flight: p50, to twice a plain fdatasync's and 0.1 ms; ms", below: true, value: func(m *measured) (float64, float64, bool) {
		o, p := m.of("one-D", troupeD), m.of("one-D", plain1)
		return o.p50().mid, 2*p.p50().mid + 0.1, len(o.Results) > 0 && len(p.Results) > 0
	}},
	{says: "the same, embedded", below: true, value: func(m *measured) (float64, float64, bool) {
		o, p := m.of("one-D", embeddedD), m.of("one-D", plain1)
		return o.p50().mid, 2*p.p50().mid + 0.1, len(o.Results) > 0 && len(p.Results) > 0
	}},
	{says: "batches of one record, to NATS sync always", value: times(10, ratio("single-D", troupeD, "single-D", natsD)), unit: "×"},
	{says: "consume a backlog, to durable produce", value: times(2, ratio("consume", troupeP, "produce-D", troupeD)), unit: "×"},
	{says: "consume a backlog, to NATS", value: times(4, ratio("consume", troupeP, "consume", natsP)), unit: "×"},
	{says: "resident memory under load, peak MB", below: true, value: func(m *measured) (float64, float64, bool) {
		o := m.of("produce-D", troupeD)
		return figureOf(o.Results, func(x loadResult) float64 { return float64(x.ServerRSS) / 1e6 }).mid, 400, len(o.Results) > 0
	}},
}

func (m *measured) goals(say func(string, ...any)) {
	say("\n## Goals\n")
	say("| what | measured | goal | |")
	say("|---|---|---|---|")
	for _, g := range goals {
		got, want, ok := g.value(m)
		if !ok {
			continue
		}
		sign, met := "at least", got >= want
		if g.below {
			sign, met = "at most", got <= want
		}
		verdict := "missed"
		if met {
			verdict = "met"
		}
		say("| %s | %.2f%s | %s %s%s | %s |", g.says, got, g.unit, sign, trim(want), g.unit, verdict)
	}
}

func trim(v float64) string {
	if v == float64(int(v)) {
		return fmt.Sprint(int(v))
	}
	return fmt.Sprintf("%.2f", v)
}
