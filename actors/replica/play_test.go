package replica

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
)

var rewrite = flag.Bool("rewrite", false, "write what the plays say into their files")

// A play is a file of commands and what the replicas do at each, indented:
//
//	group N               N replicas with empty disks, all voters
//	join ID               a replica with an empty disk, a member only when told
//	campaign ID           ask for votes now
//	transfer ID TO        hand leadership over
//	forget ID             give the leader up
//	peers ID              what a leader knows of the others
//	tick ID N             N steps of time
//	produce ID VALUE [count=N] [producer=ID/EPOCH/SEQUENCE]
//	conf ID add=ID|learner=ID|remove=ID
//	toward ID A,B,C[+D,E] take a leader's next step towards these voters and learners
//	move ID A,B,C[+D,E]   take all its steps
//	persist ID [N]        make N appends durable, all without N; a configuration is when what follows it is
//	deliver [A→B]         hand over what is on the wire now
//	drop [A→B]            lose what is on the wire now
//	crash ID              lose what is not durable, open again
//	gone ID               lose a replica for good
//	trim ID INDEX         drop the log up to INDEX
//	stabilize             let disks and wire do all that is due
//	show ID               its disk and its mind
func TestPlays(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, 1)
			script, err := os.ReadFile(f)
			require.NoError(t, err)
			got := perform(t, string(script))
			if *rewrite {
				require.NoError(t, os.WriteFile(f, []byte(got), 0o644))
				return
			}
			require.Equal(t, string(script), got)
		})
	}
}

// perform plays the unindented lines of script and puts what happens below
// each.
func perform(t *testing.T, script string) string {
	var out strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	var w *world
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		say("%s", line)
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if words[0] == "group" {
			w = newWorld(t, number(t, words[1]))
			w.say = say
			continue
		}
		act(t, w, words)
	}
	return out.String()
}

func act(t *testing.T, w *world, words []string) {
	var n *node
	var way string
	if len(words) > 1 && strings.Contains(words[1], "→") {
		way = words[1]
	} else if len(words) > 1 && words[0] != "join" {
		n = w.node(codec.ReplicaID(number(t, words[1])))
	}
	switch words[0] {
	case "join":
		d := newDisk(nil)
		d.start, d.startAt, d.term, d.commit, d.confAsOf = 0, 0, 0, 0, 0
		w.add(codec.ReplicaID(number(t, words[1])), d)
	case "campaign":
		n.mind.Campaign()
		w.take(n)
	case "transfer":
		n.mind.Transfer(codec.ReplicaID(number(t, words[2])))
		w.take(n)
	case "forget":
		n.mind.ForgetLeader()
		w.take(n)
	case "peers":
		for _, p := range n.mind.Peers() {
			w.saying("  %+v", p)
		}
	case "tick":
		for range number(t, words[2]) {
			n.mind.Tick()
		}
		w.take(n)
	case "produce":
		_ = w.produce(n, parseBatch(t, words[2:]))
		w.take(n)
	case "conf":
		w.tokens++
		if err := n.mind.ProposeConf(parseConf(t, words[2]), w.tokens); err != nil {
			w.saying("  %d refuses request %d: %v", n.id, w.tokens, err)
		} else {
			w.asked[w.tokens] = 0
		}
		w.take(n)
	case "toward":
		voters, learners := parseMembers(t, words[2])
		w.toward(n, voters, learners...)
	case "move":
		for range 20 {
			if voters, learners := parseMembers(t, words[2]); w.toward(n, voters, learners...) {
				break
			}
			w.stabilize()
		}
	case "persist":
		k := len(n.queue)
		if len(words) > 2 {
			k = number(t, words[2])
		}
		w.persist(n, k)
	case "deliver", "drop":
		letters(w, way, words[0] == "deliver")
	case "crash":
		w.crash(n)
	case "gone":
		w.nodes = slices.DeleteFunc(w.nodes, func(o *node) bool { return o == n })
	case "trim":
		n.disk.trim(codec.Index(number(t, words[2])))
	case "stabilize":
		w.stabilize()
	case "show":
		show(w, n)
	default:
		t.Fatalf("unknown command %q", words[0])
	}
}

func letters(w *world, way string, deliver bool) {
	var now, rest []*letter
	for _, l := range w.net {
		if way == "" || way == fmt.Sprintf("%d→%d", l.msg.GetFrom(), l.msg.GetTo()) {
			now = append(now, l)
		} else {
			rest = append(rest, l)
		}
	}
	w.net = rest
	for _, l := range now {
		if deliver {
			w.deliver(l)
		} else {
			w.saying("  lost: %s", messageString(l.msg))
		}
	}
}

func show(w *world, n *node) {
	r := n.mind.Role()
	w.saying("  disk: term %d vote %d commit %d, log [%d, %d]", n.disk.term, n.disk.vote, n.disk.commit, n.disk.start+1, n.disk.last())
	for _, e := range n.disk.entries {
		w.saying("    [%d.%d %s]", e.Term, e.Index, entryString(e))
	}
	w.saying("  mind: leader %d in term %d, commit %d, next offset %d, %d bytes in flight, %d appends outstanding",
		r.Lead, r.Term, n.mind.Commit(), n.mind.Next(), n.mind.InFlight(), len(n.queue))
}

func parseBatch(t *testing.T, words []string) codec.Batch {
	count, id, epoch, sequence := 1, -1, -1, -1
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "count":
			count = number(t, value)
		case "producer":
			parts := strings.Split(value, "/")
			id, epoch, sequence = number(t, parts[0]), number(t, parts[1]), number(t, parts[2])
		default:
			t.Fatalf("unknown %q", w)
		}
	}
	return producerBatch(words[0], int32(count), int64(id), int16(epoch), int32(sequence))
}

func parseConf(t *testing.T, word string) raftpb.ConfChangeI {
	key, value, _ := strings.Cut(word, "=")
	types := map[string]raftpb.ConfChangeType{"add": raftpb.ConfChangeAddNode, "learner": raftpb.ConfChangeAddLearnerNode, "remove": raftpb.ConfChangeRemoveNode}
	typ, ok := types[key]
	require.True(t, ok, "unknown change %q", word)
	id := uint64(number(t, value))
	return &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{{Type: typ.Enum(), NodeId: &id}}}
}

func parseIDs(t *testing.T, word string) (ids []codec.ReplicaID) {
	for _, s := range strings.Split(word, ",") {
		ids = append(ids, codec.ReplicaID(number(t, s)))
	}
	return ids
}

// parseMembers reads voters and, behind a plus, learners.
func parseMembers(t *testing.T, word string) (voters, learners []codec.ReplicaID) {
	word, more, some := strings.Cut(word, "+")
	if some {
		learners = parseIDs(t, more)
	}
	return parseIDs(t, word), learners
}

// toward takes one step of a leader, and says whether there is none left or it
// does not lead any more.
func (w *world) toward(n *node, voters []codec.ReplicaID, learners ...codec.ReplicaID) (over bool) {
	step := n.mind.Toward(Members{Voters: voters, Learners: learners, Ready: func(id codec.ReplicaID) bool {
		return slices.ContainsFunc(w.nodes, func(o *node) bool { return o.id == id })
	}})
	switch {
	case step.Done:
		w.saying("  %d is there", n.id)
	case step.Transfer != 0:
		w.saying("  %d lets %d lead", n.id, step.Transfer)
		n.mind.Transfer(step.Transfer)
		w.take(n)
	case step.Conf != nil:
		w.tokens++
		if err := n.mind.ProposeConf(step.Conf, w.tokens); err != nil {
			w.saying("  %d refuses request %d: %v", n.id, w.tokens, err)
		} else {
			w.asked[w.tokens] = 0
			w.saying("  %d proposes %s", n.id, stepString(step))
		}
		w.take(n)
	default:
		w.saying("  %d waits", n.id)
	}
	return step.Done || !n.mind.Role().Leader
}

func stepString(s Step) string {
	if s.Leaves() {
		return "to leave the joint configuration"
	}
	var out strings.Builder
	if s.Enters() {
		out.WriteString("jointly")
	}
	for _, c := range s.Conf.GetChanges() {
		name := map[raftpb.ConfChangeType]string{raftpb.ConfChangeAddNode: "add", raftpb.ConfChangeAddLearnerNode: "learner", raftpb.ConfChangeRemoveNode: "remove"}[c.GetType()]
		fmt.Fprintf(&out, " %s=%d", name, c.GetNodeId())
	}
	return strings.TrimSpace(out.String())
}

func number(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}
