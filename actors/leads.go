package actors

import (
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// leadsFor is how long a broker leads what it last said it leads. It says so
// every second.
const leadsFor = codec.Millis(4000)

// lead is who leads a group.
type lead struct {
	node codec.NodeID
	term codec.Term
}

// leads is who leads which group, as other brokers have told. Of several that say so
// the one of the largest term does; nobody leads for whom nobody has spoken for a
// while.
type leads struct {
	of    map[codec.GroupID]lead
	heard map[codec.GroupID]codec.Millis // when it was last said
}

func newLeads() leads {
	return leads{map[codec.GroupID]lead{}, map[codec.GroupID]codec.Millis{}}
}

// hear takes in what a broker says that it leads; whether anything is new.
func (l *leads) hear(node codec.NodeID, list []codec.Lead, now codec.Millis) (changed bool) {
	for _, one := range list {
		is := lead{node, one.Term}
		was, known := l.of[one.Group]
		switch {
		case known && is == was:
		case known && is.term <= was.term:
			continue
		default:
			l.of[one.Group], changed = is, true
		}
		l.heard[one.Group] = now
	}
	return changed
}

// lost forgets what a broker led that has ended, and nothing else.
func (l *leads) lost(node codec.NodeID) bool {
	return l.drop(func(_ codec.GroupID, is lead) bool { return is.node == node })
}

// deny forgets that a broker leads a group in some term, for it says that it does not.
func (l *leads) deny(g codec.GroupID, is lead) bool {
	return l.drop(func(group codec.GroupID, was lead) bool { return group == g && was == is })
}

// expire forgets what nobody has spoken for.
func (l *leads) expire(now codec.Millis) bool {
	return l.drop(func(g codec.GroupID, _ lead) bool { return now-l.heard[g] > leadsFor })
}

func (l *leads) drop(which func(codec.GroupID, lead) bool) bool {
	n := len(l.of)
	maps.DeleteFunc(l.of, which)
	maps.DeleteFunc(l.heard, func(g codec.GroupID, _ codec.Millis) bool { _, there := l.of[g]; return !there })
	return len(l.of) != n
}

// cutLeads are the letters that tell of list, none of them too large; one at least.
func cutLeads(cluster codec.UUID, asks bool, list []codec.Lead) (letters [][]byte) {
	if len(list) == 0 {
		return [][]byte{(&codec.Leads{Cluster: cluster, Asks: asks}).Encode()}
	}
	for part := range slices.Chunk(list, codec.LeadsMax) {
		letters = append(letters, (&codec.Leads{Cluster: cluster, Asks: asks, List: part}).Encode())
		asks = false
	}
	return letters
}
