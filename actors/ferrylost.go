package actors

import "github.com/troupe-mq/troupe/codec"

// What the ferry gives up, and what those are told who wait for it.

// lose gives up a batch that was sent, and those of its group behind it: what became of
// them is not known. Those that are held behind them fail too, for they would overtake.
func (f *ferry) lose(first *way, why string) {
	g := first.group
	r := f.rows[g]
	lost := r.since(first)
	for _, w := range lost {
		f.finish(w, codec.Produced{}, codec.Errorf(codec.Unknown, "the batch was sent to %s, which leads: %s", r.to, why))
	}
	for _, w := range r.held {
		f.finish(w, codec.Produced{}, codec.Errorf(codec.Unavailable, "not sent, for a batch before it was lost on its way to %s", r.to))
	}
	r.held = nil
	if r.cancel != nil { // what may be held from now on has a patience of its own
		r.cancel()
		r.cancel = nil
	}
	f.begin(r, r.to)
	f.goOn(g, r)
}

// rowOver ends the patience with a broker that leads no more.
func (f *ferry) rowOver(r *row) {
	r.cancel = nil
	if len(r.held) > 0 && len(r.sent) > 0 {
		f.lose(r.sent[0], "it leads no more and has not answered")
	}
}

// gone gives up what is on its way to a broker that has ended.
func (f *ferry) gone(node codec.NodeID) {
	if f.dead == nil {
		f.dead = map[codec.NodeID]int{}
	}
	f.dead[node]++
	f.house.clock.After(deadFor, func() { f.post(mourned{node}) })
	for _, g := range sortedKeys(f.rows) {
		if r := f.rows[g]; r.to == node && len(r.sent) > 0 {
			f.lose(r.sent[0], "it has ended")
		}
	}
	for _, n := range sortedKeys(f.looks) {
		if l := f.looks[n]; l.to == node {
			f.endLook(n, nil, noSight(l, "it has ended"))
		}
	}
}

// end gives everything up: the broker is stopping.
func (f *ferry) end() {
	f.ended = true
	for _, g := range sortedKeys(f.rows) {
		f.lose(f.rows[g].sent[0], "this broker is stopping")
	}
	for _, n := range sortedKeys(f.looks) {
		f.endLook(n, nil, errStopping)
	}
}

// fall answers all that is on its way: this actor has panicked, and the next knows
// nothing of it. Nothing else here is to be relied on.
func (f *ferry) fall() {
	for _, n := range sortedKeys(f.ways) {
		f.finish(f.ways[n], codec.Produced{}, codec.Errorf(codec.Unknown, "the batch was on its way to another broker, and is not followed any more"))
	}
	for _, n := range sortedKeys(f.looks) {
		f.endLook(n, nil, noSight(f.looks[n], "the question is not followed any more"))
	}
}
