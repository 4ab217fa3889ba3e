package cluster

import (
	"cmp"
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// Sight is what the leader of the metadata sees: its own group, and by that every
// node, for each has a replica of it and answers its heartbeats.
type Sight struct {
	Self    codec.ReplicaID
	Members []codec.ReplicaID // consensus has, itself included
	Voters  []codec.ReplicaID // of those
	// Changing says that consensus is between two configurations.
	Changing bool
	Peers    map[codec.ReplicaID]Peer
}

// Peer is another replica of the metadata.
type Peer struct {
	// Answers is for how long it has answered without a pause, Silent for how long it
	// has not: one of them is 0.
	Answers, Silent codec.Millis
	// CaughtUp says that it has what is decided, or nearly.
	CaughtUp bool
}

const (
	// StableAfter is how long a node has to answer before something is built on it.
	StableAfter codec.Millis = 10_000
	// LostAfter is how long a voter has to be silent before another node votes in its
	// place, where there is one.
	LostAfter codec.Millis = 5 * 60_000
)

// Advise is the one thing that is to be decided next about the metadata's own group,
// nil when all is as it should be. It rests on nothing but what there is and is seen
// now: whatever was decided before and has not come about since holds up nobody.
func Advise(s State, now Sight) Action {
	if s.Cluster == (codec.UUID{}) {
		return nil
	}
	if gone := departed(s, now); gone != "" {
		return ForgetNode{Node: gone}
	}
	if now.Changing {
		return nil
	}
	voters := electorate(s, now)
	if slices.Equal(voters, s.voters()) || !now.majority(voters) {
		return nil
	}
	return ChangeMetadata{Voters: voters}
}

// departed is a node that is leaving and whose replica consensus has let go.
func departed(s State, now Sight) codec.NodeID {
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		if !s.Nodes[name].Leaving {
			continue
		}
		held := slices.ContainsFunc(s.Metadata, func(r Replica) bool {
			return r.Node == name && (!r.Learner || slices.Contains(now.Members, r.ID))
		})
		if !held {
			return name
		}
	}
	return ""
}

// voters are those that the metadata want, in order of their ids.
func (s State) voters() (list []codec.ReplicaID) {
	for _, r := range s.Metadata {
		if !r.Learner {
			list = append(list, r.ID)
		}
	}
	slices.Sort(list)
	return list
}

// candidate is a replica that may vote.
type candidate struct {
	id     codec.ReplicaID
	rank   int // the lower, the rather it votes
	rack   string
	silent codec.Millis
}

// electorate are those that should vote: as many as can, an odd number up to
// VotersMax. Who votes now goes on, as long as it answers or nobody is there for it;
// the rest are replicas that have been there for a while and have everything, of
// other racks first.
func electorate(s State, now Sight) []codec.ReplicaID {
	var all []candidate
	for _, r := range s.Metadata {
		if rank, may := rankOf(s, now, r); may {
			all = append(all, candidate{r.ID, rank, s.Nodes[r.Node].Rack, now.Peers[r.ID].Silent})
		}
	}
	if len(all) == 0 {
		return s.voters()
	}
	size, racks := odd(min(len(all), VotersMax)), map[string]bool{}
	var list []codec.ReplicaID
	for len(list) < size {
		slices.SortFunc(all, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(a.rank, b.rank), first(!racks[a.rack], !racks[b.rack]), cmp.Compare(a.silent, b.silent), cmp.Compare(a.id, b.id))
		})
		list = append(list, all[0].id)
		racks[all[0].rack] = all[0].rack != ""
		all = all[1:]
	}
	slices.Sort(list)
	return list
}

// rankOf says whether a replica may vote, and how it stands among those that may.
func rankOf(s State, now Sight, r Replica) (rank int, may bool) {
	p, votes := now.Peers[r.ID], slices.Contains(now.Voters, r.ID)
	switch {
	case r.Leaving || !s.Nodes[r.Node].Active():
		return 0, false
	case r.ID == now.Self:
		return 0, votes
	case votes && p.Silent < LostAfter:
		return 1, true
	case votes:
		return 3, true
	case p.CaughtUp && p.Answers >= StableAfter:
		return 2, true
	}
	return 0, false
}

// majority says whether most of some voters answer now.
func (now Sight) majority(voters []codec.ReplicaID) bool {
	n := 0
	for _, id := range voters {
		if p, seen := now.Peers[id]; id == now.Self || seen && p.Silent == 0 {
			n++
		}
	}
	return 2*n > len(voters)
}

// Silent are the nodes that do not answer, in order of names.
func (now Sight) Silent(s State) (list []codec.NodeID) {
	for _, r := range s.Metadata {
		if p := now.Peers[r.ID]; r.ID != now.Self && (p.Silent > 0 || p.Answers == 0) {
			list = append(list, r.Node)
		}
	}
	slices.Sort(list)
	return list
}
