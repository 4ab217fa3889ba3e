package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-mq/troupe/codec"
)

// Founding makes one cluster of several brokers that were all started with the
// same list of addresses, or none. Nobody tells another to do anything: each
// asks the others where they stand (standing), takes one step by itself (next),
// keeps it, and asks again.
//
//   - All listed say that they are empty: the one with the lowest name draws the
//     record, which names the cluster, and every member with its address and its
//     disk. It keeps it.
//   - Somebody has a record that names this broker as it is: it keeps the same.
//   - All listed have the same record, or one of them is a member of its cluster,
//     which it cannot be before that: the broker starts.
//
// A record is kept once for each disk, durable before anybody hears of it, and
// never replaced: so of two records at most one is ever kept by all its members,
// however often processes die in between. Whoever restarts goes on with its own.

// party is one broker of a record.
type party struct {
	Node codec.NodeID `json:"node"`
	Link string       `json:"link"`
	Disk string       `json:"disk"`
}

// record is a cluster to be: its members are in order of their names.
type record struct {
	Cluster string  `json:"cluster"`
	Members []party `json:"members"`
}

func (r *record) same(o *record) bool {
	return r.Cluster == o.Cluster && slices.Equal(r.Members, o.Members)
}

// nodes are the names of its members.
func (r *record) nodes() []codec.NodeID {
	all := make([]codec.NodeID, len(r.Members))
	for i, m := range r.Members {
		all[i] = m.Node
	}
	return all
}

// links are the addresses of its members, in order.
func (r *record) links() []string {
	all := make([]string, len(r.Members))
	for i, m := range r.Members {
		all[i] = m.Link
	}
	slices.Sort(all)
	return all
}

// The stages of a broker's life.
const (
	stageEmpty    = "empty"    // its data directory belongs to no cluster
	stageRecorded = "recorded" // and it keeps a record
	stageMember   = "member"   // it has a place in a cluster
)

// standing is what a broker says of itself.
type standing struct {
	Stage   string   `json:"stage"`
	Member  party    `json:"member"`
	Join    []string `json:"join,omitempty"`    // that it founds with, in order; none for who founds nothing
	Record  *record  `json:"record,omitempty"`  // that it keeps
	Cluster string   `json:"cluster,omitempty"` // of a member
	Gossip  string   `json:"gossip,omitempty"`  // of a member, where it is reached
	Keys    prints   `json:"keys"`              // of its gossip
}

// heard is what came of asking an address: a standing, or why there is none.
type heard struct {
	standing *standing
	reached  map[codec.NodeID]string // by it, to who is of its cluster
	err      error
}

// founder is a broker that founds with others.
type founder struct {
	self party
	list []string // all addresses in order, its own among them
	kept *record
	keys prints
}

func (f *founder) standing() standing {
	s := standing{Stage: stageEmpty, Member: f.self, Join: f.list, Record: f.kept, Keys: f.keys}
	if f.kept != nil {
		s.Stage = stageRecorded
	}
	return s
}

// move is what to do next: one of these.
type move struct {
	wait   []string // for whom and why; then ask again
	draw   bool     // the cluster's id, and keep what record makes of it
	keep   *record  // then ask again
	start  *record  // as one of its founders
	join   bool     // there is a cluster already
	refuse error    // a person has to mend it
}

// others are the addresses to ask: those of the record, for whoever keeps one.
func (f *founder) others() []string {
	list := f.list
	if f.kept != nil {
		list = f.kept.links()
	}
	return slices.DeleteFunc(slices.Clone(list), func(a string) bool { return a == f.self.Link })
}

// next is the step that follows from what the others say.
func (f *founder) next(said map[string]heard) move {
	if f.kept != nil && !slices.Contains(f.kept.Members, f.self) {
		return move{refuse: fmt.Errorf("this directory keeps the record of a cluster to be, %s, in which node %q is not at %s: start with the name and the address of before, or empty the data directories of all of its brokers and start them again", f.kept.Cluster, f.self.Node, f.self.Link)}
	}
	var wait []string
	theirs := map[string]*standing{}
	for _, a := range f.others() {
		h := said[a]
		switch {
		case h.err != nil && hopeless(h.err):
			return move{refuse: h.err}
		case h.standing == nil:
			wait = append(wait, fmt.Sprintf("%s (%s)", a, because(h.err)))
		default:
			theirs[a] = h.standing
		}
	}
	if s, done := f.agree(theirs); done {
		return s
	}
	if len(wait) > 0 {
		return move{wait: wait}
	}
	return f.forward(theirs)
}

// agree looks for a record, a cluster or a contradiction among those who have answered,
// which is enough to go by, however many have not.
func (f *founder) agree(theirs map[string]*standing) (move, bool) {
	for _, a := range f.others() {
		s := theirs[a]
		switch {
		case s == nil:
		case s.Stage == stageMember && f.kept == nil:
			return move{join: true}, true
		case s.Stage == stageMember && s.Cluster == f.kept.Cluster:
			return move{start: f.kept}, true
		case s.Stage == stageMember:
			return move{refuse: fmt.Errorf("node %q at %s belongs to cluster %s, and this directory keeps the record of another, %s: empty this data directory to join that one", s.Member.Node, a, s.Cluster, f.kept.Cluster)}, true
		}
	}
	for _, a := range f.others() {
		if s := theirs[a]; s != nil {
			if err := f.contradiction(a, s); err != nil {
				return move{refuse: err}, true
			}
			if f.kept == nil && s.Record != nil {
				return move{keep: s.Record}, true
			}
		}
	}
	return move{}, false
}

// contradiction says why this broker and another cannot found the same cluster.
func (f *founder) contradiction(a string, s *standing) error {
	mine := f.list
	if f.kept != nil {
		mine = f.kept.links()
	}
	switch {
	case s.Member.Node == f.self.Node:
		return fmt.Errorf("the broker at %s is node %q as well: give one of the two another name with --node", a, f.self.Node)
	case s.Member.Link != a:
		return fmt.Errorf("the broker at %s says that it is reached at %q: start it with --advertise-link %s, or write the other in every --join", a, s.Member.Link, a)
	case f.keys.other(s.Keys) != "":
		return fmt.Errorf("the broker at %s %s", a, f.keys.other(s.Keys))
	case s.Record == nil && s.Stage == stageEmpty && f.kept != nil && !slices.Contains(f.kept.Members, s.Member):
		return fmt.Errorf("node %q at %s has lost the data directory with which this cluster was to be founded, %s: empty the data directories of all of its brokers and start them again", s.Member.Node, a, f.kept.Cluster)
	case s.Record == nil && !slices.Equal(s.Join, mine):
		return fmt.Errorf("the broker at %s has --join %s, and this one %s: give all of them the same", a, orNobody(s.Join), strings.Join(mine, ","))
	case s.Record != nil && f.kept != nil && !s.Record.same(f.kept):
		return fmt.Errorf("the broker at %s keeps the record of another cluster to be, %s, than this one, %s: empty the data directories of all of their brokers and start them again", a, s.Record.Cluster, f.kept.Cluster)
	case s.Record != nil && f.kept == nil && !slices.Equal(s.Record.links(), f.list):
		return fmt.Errorf("the broker at %s founds a cluster of %s, and this one has --join %s: give all of them the same, or this one only addresses of others", a, strings.Join(s.Record.links(), ","), strings.Join(f.list, ","))
	case s.Record != nil && f.kept == nil && !slices.Contains(s.Record.Members, f.self):
		return fmt.Errorf("the broker at %s keeps the record of a cluster to be, %s, in which %s is another node or another data directory: empty the data directories of all of its brokers and start them again", a, s.Record.Cluster, f.self.Link)
	}
	return nil
}

func orNobody(join []string) string {
	if len(join) == 0 {
		return "without its own address, or none"
	}
	return strings.Join(join, ",")
}

// forward is the step when all have answered and nothing contradicts.
func (f *founder) forward(theirs map[string]*standing) move {
	names := map[codec.NodeID]string{f.self.Node: f.self.Link}
	lowest, wait := f.self.Node, []string(nil)
	for _, a := range f.others() {
		s := theirs[a]
		if other, twice := names[s.Member.Node]; twice {
			return move{refuse: fmt.Errorf("the brokers at %s and %s are both node %q: give one of the two another name with --node", other, a, s.Member.Node)}
		}
		names[s.Member.Node] = a
		lowest = min(lowest, s.Member.Node)
		if f.kept != nil && s.Record == nil {
			wait = append(wait, fmt.Sprintf("%s (it has not kept the record yet)", a))
		}
	}
	switch {
	case f.kept != nil && wait == nil:
		return move{start: f.kept}
	case f.kept != nil:
		return move{wait: wait}
	case lowest == f.self.Node:
		return move{draw: true}
	}
	return move{wait: []string{fmt.Sprintf("%s (node %q draws the record)", names[lowest], lowest)}}
}

// record is the one that this broker draws, when all have answered.
func (f *founder) record(cluster codec.UUID, said map[string]heard) *record {
	r := &record{Cluster: cluster.String(), Members: []party{f.self}}
	for _, a := range f.others() {
		r.Members = append(r.Members, said[a].standing.Member)
	}
	slices.SortFunc(r.Members, func(a, b party) int { return strings.Compare(string(a.Node), string(b.Node)) })
	return r
}

// hopeless says that asking again will not help.
func hopeless(err error) bool {
	switch codec.CodeOf(err) {
	case codec.Clone, codec.OtherCluster, codec.AuthFailed, codec.AuthRequired, codec.Denied, codec.VersionUnknown:
		return true
	}
	return false
}

// because is why an address did not answer, for people.
func because(err error) string {
	if err == nil {
		return "it was not asked yet"
	}
	says := err.Error()
	if _, rest, ok := strings.Cut(says, ": "); ok && strings.HasPrefix(says, "ask ") {
		says = rest
	}
	return oneLine(fmt.Errorf("%s", says))
}
