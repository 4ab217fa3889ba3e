package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/cluster/link"
	"github.com/troupe-mq/troupe/codec"
)

// How a broker comes to its cluster. A directory that belongs to one goes on in it,
// and uses --join only to find the others. One that keeps a record goes on with that.
// An empty one without --join founds alone; with its own address among those of
// --join it founds with the others, or joins when there is a cluster; without, it
// only ever joins.

// beginning is what the broker starts as.
type beginning struct {
	founding *actors.Founding
	joining  *actors.Joining
}

func (l *linked) begin(ctx context.Context) (beginning, error) {
	if l.owner != nil {
		return beginning{}, l.goOn(ctx)
	}
	switch {
	case l.kept != nil || l.founds():
		return l.found(ctx)
	case len(l.list) == 0:
		return beginning{}, nil
	}
	return l.join(ctx)
}

// found takes one step after the other until there is a cluster.
func (l *linked) found(ctx context.Context) (beginning, error) {
	f := &founder{self: l.stands.Load().Member, list: l.list, kept: l.kept, keys: l.keys}
	if f.kept != nil {
		l.log("a founding goes on", "cluster", f.kept.Cluster, "members", fmt.Sprint(f.kept.nodes()))
	}
	var t teller
	for {
		said := l.ask(ctx, f.others())
		next := f.next(said)
		if next.draw {
			next.keep = f.record(newUUID(), said)
		}
		switch {
		case next.refuse != nil:
			return beginning{}, next.refuse
		case next.join:
			return l.join(ctx)
		case next.start != nil:
			return l.startFounding(next.start)
		case next.keep != nil:
			if err := writeKept(osFS, filepath.Join(l.cfg.Data, recordName), *next.keep); err != nil {
				return beginning{}, err
			}
			f.kept = next.keep
			l.stand(stageRecorded, f.kept)
			l.log("the record of a cluster to be is kept", "cluster", f.kept.Cluster, "members", fmt.Sprint(f.kept.nodes()))
			continue
		}
		t.wait(l, "waits to found a cluster", next.wait)
		if err := pauseFor(ctx, pauseOf()); err != nil {
			return beginning{}, err
		}
	}
}

// pauseOf is how long to wait before asking again.
func pauseOf() time.Duration { return 100*time.Millisecond + rand.N(200*time.Millisecond) }

func (l *linked) startFounding(r *record) (beginning, error) {
	id, err := codec.ParseUUID(r.Cluster)
	if err != nil {
		return beginning{}, err
	}
	first := map[codec.NodeID]string{}
	for _, m := range r.Members {
		first[m.Node] = m.Link
	}
	if err := l.belong(id); err != nil {
		return beginning{}, err
	}
	l.peers.first(first)
	return beginning{founding: &actors.Founding{Cluster: id, Nodes: r.nodes()}}, nil
}

// ask asks addresses where they stand, side by side.
func (l *linked) ask(ctx context.Context, all []string) map[string]heard {
	var mu sync.Mutex
	var running sync.WaitGroup
	said := map[string]heard{}
	for _, a := range all {
		running.Go(func() {
			got, err := l.question(ctx, a, question{Ask: askStanding})
			h := heard{err: err}
			if err == nil {
				h.standing, h.reached = got.Standing, got.Reached
			}
			mu.Lock()
			defer mu.Unlock()
			said[a] = h
		})
	}
	running.Wait()
	return said
}

// join asks whoever is listed to be let in, until somebody does.
func (l *linked) join(ctx context.Context) (beginning, error) {
	var t teller
	for {
		wait, hopeless := []string(nil), error(nil)
		others := slices.DeleteFunc(slices.Clone(l.list), func(a string) bool { return a == l.self.Address })
		if err := notOneCluster(l.keys, l.ask(ctx, others)); err != nil {
			return beginning{}, err
		}
		for _, a := range others {
			in, why, err := l.knock(ctx, a)
			if in != nil {
				return l.letIn(in)
			}
			if err != nil && hopeless == nil {
				hopeless = err
			}
			wait = append(wait, fmt.Sprintf("%s (%s)", a, why))
		}
		if hopeless != nil {
			return beginning{}, hopeless
		}
		t.wait(l, "waits to be let into a cluster", wait)
		if err := pauseFor(ctx, pauseOf()); err != nil {
			return beginning{}, err
		}
	}
}

// knock asks one address to be let in: by it this broker is in, or why not, and the
// error says that asking again will not help.
func (l *linked) knock(ctx context.Context, a string) (*letIn, string, error) {
	got, err := l.question(ctx, a, question{Ask: askIn, Rack: l.cfg.Rack})
	switch {
	case err != nil && hopeless(err):
		return nil, because(err), fmt.Errorf("join by %s: %w", a, err)
	case errors.Is(err, link.ErrUntrusted):
		return nil, because(err), codec.Errorf(codec.AuthFailed, "join by %s: %s", a, because(err))
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, because(err) + ": start that broker, or correct --join", nil
	case err != nil:
		return nil, because(err), nil
	case got.In != nil:
		return got.In, "", nil
	case got.Standing.Stage != stageMember:
		return nil, fmt.Sprintf("node %q is there and belongs to no cluster yet", got.Standing.Member.Node), nil
	}
	return nil, "it does not let anybody in now", nil
}

func (l *linked) letIn(in *letIn) (beginning, error) {
	id, err := codec.ParseUUID(in.Cluster)
	if err != nil {
		return beginning{}, fmt.Errorf("join a cluster: %w", err)
	}
	if err := l.belong(id); err != nil {
		return beginning{}, err
	}
	l.peers.first(in.Nodes)
	l.log("let into a cluster", "cluster", in.Cluster, "replica", in.Replica, "nodes", fmt.Sprint(slices.Sorted(maps.Keys(in.Nodes))))
	return beginning{joining: &actors.Joining{Cluster: id, Replica: in.Replica}}, nil
}

// goOn is the beginning of a broker whose directory belongs to a cluster.
func (l *linked) goOn(ctx context.Context) error {
	if err := l.belong(l.owner.Cluster); err != nil {
		return err
	}
	first := map[codec.NodeID]string{}
	if r, err := readKept[record](osFS, filepath.Join(l.cfg.Data, recordName)); err == nil && r != nil && r.Cluster == l.owner.Cluster.String() {
		for _, m := range r.Members {
			first[m.Node] = m.Link
		}
	}
	last, err := readKept[map[codec.NodeID]string](osFS, l.peers.file)
	if err != nil {
		l.log("where the other brokers were is not known", "error", err) // others, or --join, may tell
	} else if last != nil {
		maps.Copy(first, *last)
	}
	l.peers.first(first)
	return l.goesOn(ctx)
}
