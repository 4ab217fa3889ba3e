package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// metadataOf is a cluster as a word for each node says: v for one that the metadata
// want to vote, l for a learner, - behind it when it leaves, ? when it has not
// registered; then @ and its rack. The first one leads.
func metadataOf(words string) State {
	s := NewState()
	s.Cluster, s.Revision = uuid("c"), 9
	for i, w := range strings.Fields(words) {
		w, rack, _ := strings.Cut(w, "@")
		n := Node{Name: codec.NodeID(fmt.Sprintf("n%d", i+1)), Disk: uuid(fmt.Sprint(i)), Epoch: 1, Leaving: strings.Contains(w, "-"), Rack: rack}
		if strings.Contains(w, "?") {
			n.Epoch = 0
		}
		s.Nodes[n.Name] = n
		s.Metadata = append(s.Metadata, Replica{ID: codec.ReplicaID(i + 1), Node: n.Name, Learner: w[0] == 'l', Leaving: n.Leaving})
	}
	s.NextReplica = 100
	return s
}

// seenOf is what the leader sees, a word for each node: v for a voter of consensus, l for
// one of its learners, x for none; then for how many seconds it has answered, or with a
// minus been silent; * behind it when it lags.
func seenOf(words string) Sight {
	now := Sight{Self: 1, Peers: map[codec.ReplicaID]Peer{}}
	for i, w := range strings.Fields(words) {
		id := codec.ReplicaID(i + 1)
		if w[0] == 'v' {
			now.Voters = append(now.Voters, id)
		}
		if w[0] != 'x' {
			now.Members = append(now.Members, id)
		}
		var p Peer
		seconds := 0
		_, _ = fmt.Sscan(strings.Trim(w[1:], "*"), &seconds)
		p.Answers, p.Silent = codec.Millis(max(0, 1000*seconds)), codec.Millis(max(0, -1000*seconds))
		p.CaughtUp = !strings.HasSuffix(w, "*")
		now.Peers[id] = p
	}
	return now
}

func TestAdvise(t *testing.T) {
	for _, law := range []struct{ because, state, seen, says string }{
		{"one is alone", "v", "v", "nothing"},
		{"two are no better than one", "v l", "v l99", "nothing"},
		{"three vote when two have been there for a while", "v l l", "v l10 l10", "voters [1 2 3]"},
		{"one has just come", "v l l", "v l10 l9", "nothing"},
		{"one has not everything", "v l l", "v l10 l10*", "nothing"},
		{"one has not registered", "v l l?", "v l10 l10", "nothing"},
		{"one fell silent before it voted, and holds up nobody", "v v v l", "v l99 l-3 l99", "voters [1 2 4]"},
		{"one fell silent before it voted, and there is nobody else", "v v v", "v l99 l-3", "voters [1]"},
		{"what is wanted is on its way", "v v v", "v l99 l99", "nothing"},
		{"five", "v v v l l", "v v99 v99 l10 l10", "voters [1 2 3 4 5]"},
		{"four are no better than three", "v v v l", "v v99 v99 l99", "nothing"},
		{"six have five", "v v v v v l", "v v9 v9 v9 v9 l99", "nothing"},
		{"nothing moves when a voter falls silent", "v v v l", "v v99 v-100 l99", "nothing"},
		{"another votes for one that is lost", "v v v l", "v v99 v-300 l99", "voters [1 2 4]"},
		{"it is back in time", "v v v l", "v v99 v1 l99", "nothing"},
		{"nobody is there for it", "v v v", "v v99 v-3000", "nothing"},
		{"not towards those who do not answer", "v v v l l", "v v-1 v-1 l-1 l-1", "nothing"},
		{"a voter leaves, and another takes its place", "v v v- l", "v v99 v99 l99", "voters [1 2 4]"},
		{"a voter leaves, and two are left", "v v v-", "v v99 v99", "voters [1]"},
		{"it has no vote any more", "v v l- v", "v v99 l99 v99", "nothing"},
		{"and is no member any more", "v v l- v", "v v99 x99 v99", "forget n3"},
		{"a learner leaves that never came", "v l-?", "v x0", "forget n2"},
		{"the leader leaves", "v- v v l l", "v v99 v99 l99 l99", "voters [2 3 4]"},
		{"racks", "v@a l@a l@a l@b l@c", "v l99 l99 l99 l99", "voters [1 2 3 4 5]"},
		{"racks of few", "v@a l@a l@b l@c", "v l99 l99 l99", "voters [1 3 4]"},
		{"an even number has come from an older version", "v v v v", "v v9 v9 v9", "voters [1 2 3]"},
	} {
		s := metadataOf(law.state)
		before := string(s.Encode())
		do := Advise(s, seenOf(law.seen))
		says := "nothing"
		switch do := do.(type) {
		case ChangeMetadata:
			says = fmt.Sprintf("voters %v", do.Voters)
		case ForgetNode:
			says = "forget " + string(do.Node)
		}
		require.Equal(t, law.says, says, "%s: %s, seen %s", law.because, law.state, law.seen)
		require.Equal(t, before, string(s.Encode()))
		if do != nil {
			_, _, err := Apply(s, Command{Do: do})
			require.NoError(t, err, law.because)
		}
	}
	changing := seenOf("v l99 l99")
	changing.Changing = true
	require.Nil(t, Advise(metadataOf("v l l"), changing))
	require.Equal(t, []codec.NodeID{"n3", "n4"}, seenOf("v l9 v-2 x0").Silent(metadataOf("v l v l")))
}

// Replicas are spread over racks, and nothing is placed on who does not answer while
// there are others.
func TestPlacePrefersRacksAndWhoAnswers(t *testing.T) {
	nodes := []load{{node: "a", rack: "r1"}, {node: "b", rack: "r1"}, {node: "c", rack: "r1"}, {node: "d", rack: "r2"}, {node: "e", rack: "r3", silent: true}}
	for _, p := range place(nodes, 50, 2) {
		require.Contains(t, p, codec.NodeID("d"), "%v", p)
		require.NotContains(t, p, codec.NodeID("e"), "%v", p)
	}
	for _, p := range place(nodes, 5, 5) {
		require.NotEqual(t, codec.NodeID("e"), p[0], "one that is silent leads when it must")
	}
	for _, p := range place([]load{{node: "a"}, {node: "b", silent: true}, {node: "c", silent: true}}, 5, 3) {
		require.Len(t, p, 3)
		require.Equal(t, codec.NodeID("a"), p[0])
	}
}

// The number of replicas goes up to where placing puts them, and down by those that do
// not answer first.
func TestResize(t *testing.T) {
	s := metadataOf("v@a v@a v@b l@c l@d")
	s.NextGroup = 2
	s, _, err := Apply(s, Command{Do: CreateTopic{Name: "t", ID: uuid("t"), Partitions: 4, Replicas: 2, Silent: []codec.NodeID{"n5"}}})
	require.NoError(t, err)
	sizes := func() (list []int) {
		for _, p := range s.Topics["t"].Partitions {
			list = append(list, len(p.Staying()))
		}
		return list
	}
	do := func(replicas int, silent ...codec.NodeID) {
		for g := codec.GroupID(2); g < 6; g++ { // as if each partition had got there
			_, n, err := s.partition(g)
			require.NoError(t, err)
			for i := range s.Topics["t"].Partitions[n].Replicas {
				s.Topics["t"].Partitions[n].Replicas[i].Initialized = true
			}
			if c := s.Topics["t"].Partitions[n].Change; c != 0 {
				s, _, err = Apply(s, Command{Do: FinishChange{Group: g, Change: c}})
				require.NoError(t, err)
			}
		}
		var err error
		s, _, err = Apply(s, Command{Do: AlterTopic{Name: "t", Replicas: replicas}}.Placing(silent))
		require.NoError(t, err)
	}
	do(4, "n5")
	require.Equal(t, []int{4, 4, 4, 4}, sizes())
	for _, p := range s.Topics["t"].Partitions {
		require.NotContains(t, nodesOf(p), codec.NodeID("n5"))
	}
	do(3, "n3")
	for _, p := range s.Topics["t"].Partitions {
		require.Len(t, nodesOf(p), 3)
		require.NotContains(t, nodesOf(p), codec.NodeID("n3"))
	}
	first := s.Topics["t"].Partitions[0].Replicas[0]
	do(1)
	require.Equal(t, []int{1, 1, 1, 1}, sizes())
	require.Equal(t, first.Node, nodesOf(s.Topics["t"].Partitions[0])[0], "who leads stays")
	_, _, err = Apply(s, Command{Do: AlterTopic{Name: "t", Replicas: 6}})
	require.Equal(t, codec.InvalidArgument, codec.CodeOf(err))
	revision := s.Revision
	do(1)
	require.Greater(t, s.Revision, revision)
}

func nodesOf(p Partition) (list []codec.NodeID) {
	for _, r := range p.Staying() {
		list = append(list, r.Node)
	}
	slices.Sort(list[1:])
	return list
}
