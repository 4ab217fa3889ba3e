package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/cluster/link"
	"github.com/troupe-mq/troupe/codec"
)

// A broker whose directory belongs to a cluster lets the others know that it is there,
// and where. By their answers it learns that it is none of the cluster: it was removed,
// or another process is this node. Those who have let it go say nothing to it of
// themselves, so it asks while it starts, and when nothing is heard of anybody.

const (
	greetEvery  = 2 * time.Second // while it starts
	lonelyEvery = 5 * time.Second // in which nothing was heard
	// cloneFor is how long another may seem to be this node: the last process of it, for
	// a few seconds, when that ended without a word and this one is at another address.
	cloneFor = 8 * time.Second
)

// goesOn greets, and refuses to start beside a cluster that it does not belong to.
func (l *linked) goesOn(ctx context.Context) error {
	var t teller
	for begun := time.Now(); ; {
		answered, err := l.greet(ctx)
		if codec.CodeOf(err) != codec.Clone || time.Since(begun) > cloneFor {
			if err == nil && answered == 0 && len(l.list) > 0 {
				l.log("none of --join answers; this data directory belongs to a cluster already, and goes on in it", "cluster", l.owner.Cluster.String(), "known", fmt.Sprint(l.peers.all()))
			}
			return err
		}
		t.wait(l, "waits until the other process of this node has ended", []string{because(err)})
		if err := pauseFor(ctx, pauseOf()); err != nil {
			return err
		}
	}
}

// greet asks the others where they stand, which lets them know of this broker. The error
// is that it cannot go on: somebody says that it is none of the cluster, or a broker of
// --join is of another.
func (l *linked) greet(ctx context.Context) (answered int, err error) {
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	said := l.ask(soon, l.toGreet())
	for _, a := range slices.Sorted(maps.Keys(said)) {
		h := said[a]
		switch s := h.standing; {
		case s != nil && s.Stage == stageMember:
			answered++
			if other := l.keys.other(s.Keys); other != "" {
				l.log("the gossip of two brokers does not meet", "because", fmt.Sprintf("the broker at %s %s", a, other))
			}
			l.peers.said(s.Member.Node, s.Member.Link)
			l.elsewhere(h.reached)
		case s != nil:
			answered++
			l.log("a broker of --join belongs to no cluster yet", "address", a, "node", string(s.Member.Node))
		case disowns(h.err) || codec.CodeOf(h.err) == codec.OtherCluster && slices.Contains(l.list, a):
			if err == nil {
				err = fmt.Errorf("data directory %s belongs to cluster %s: %w", l.cfg.Data, l.self.Cluster, h.err)
			}
		}
	}
	return answered, err
}

// elsewhere notes where another broker speaks with peers with which this one does not:
// they have moved, as it has perhaps, and neither can tell the other.
func (l *linked) elsewhere(reached map[codec.NodeID]string) {
	for _, p := range l.link.Status().Peers {
		if at := reached[p.Node]; at != "" && p.Address != "" && at != p.Address && p.Control.State != link.Up {
			l.peers.heardOf(p.Node, at)
		}
	}
}

// disowns says whether a broker has refused this one as none of the cluster, whoever it
// is that says so.
func disowns(err error) bool {
	code := codec.CodeOf(err)
	return code == codec.Denied || code == codec.Clone
}

// toGreet are the addresses of --join and of all peers.
func (l *linked) toGreet() []string {
	all := slices.Concat(l.list, slices.Collect(maps.Values(l.peers.all())))
	all = slices.DeleteFunc(all, func(a string) bool { return a == l.self.Address })
	slices.Sort(all)
	return slices.Compact(all)
}

// untilReady greets again and says for whom a broker waits while it starts.
func (l *linked) untilReady(ctx context.Context) {
	var t teller
	var d doubt
	for {
		if pauseFor(ctx, greetEvery) != nil {
			return
		}
		if l.stands.Load().Stage == stageMember && !l.stillOne(ctx, &d) {
			return
		}
		var wait []string
		for _, p := range l.link.Status().Peers {
			if p.Control.State != link.Up {
				wait = append(wait, fmt.Sprintf("node %q at %s (%s)", p.Node, p.Address, because(errors.New(p.Control.Trouble))))
			}
		}
		if wait == nil {
			wait = []string{"the others to agree on a leader"}
		}
		t.wait(l, "waits for a majority of the cluster", wait)
	}
}

// whileLonely asks the others, whenever nothing is heard of anybody, whether this broker
// is still one of them.
func (l *linked) whileLonely(ctx context.Context) {
	var d doubt
	for last := l.letters(); ; {
		if pauseFor(ctx, lonelyEvery) != nil {
			return
		}
		got := l.letters()
		if got == last && !l.stillOne(ctx, &d) {
			return
		}
		if got != last {
			d, last = doubt{}, got
		}
	}
}

// letters counts what came from the other brokers of today.
func (l *linked) letters() (n uint64) {
	for _, p := range l.link.Status().Peers {
		n += p.Control.Got.Letters + p.Bulk.Got.Letters
	}
	return n
}

// doubt is what others say against a broker.
type doubt struct {
	clone time.Time // since when another is this node
	told  string    // that is in the log
}

// stillOne greets, and ends the broker when it is none of the cluster any more.
func (l *linked) stillOne(ctx context.Context, d *doubt) bool {
	_, err := l.greet(ctx)
	if codec.CodeOf(err) != codec.Clone {
		d.clone = time.Time{}
	} else if d.clone.IsZero() {
		d.clone = time.Now()
	}
	switch {
	case err == nil || ctx.Err() != nil:
		return true
	case !disowns(err), !d.clone.IsZero() && time.Since(d.clone) < cloneFor:
		if d.told != err.Error() {
			d.told = err.Error()
			l.log("a broker refuses this one", "error", err)
		}
		return true
	}
	if b := l.broker.Load(); b != nil {
		b.Disown(err)
	}
	return false
}
