package cluster

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
)

var rewrite = flag.Bool("rewrite", false, "write what the plays say into their files")

// A play is a file of commands and what comes of each, indented:
//
//	nodes NAME...                       so many brokers are active (no command does this yet)
//	found NODE[,NODE...] | register NODE disk=D [address=A] | create NAME [partitions=N] [replicas=N] [setting=value...]
//	alter NAME [partitions=N] [setting=value...] | delete NAME | buried REPLICA
//	change GROUP nodes=A,B | replace REPLICA | take GROUP change=REVISION term=T | finish GROUP change=REVISION [term=T]
//	admit NODE disk=D [link=A] [rack=R] | remove NODE | forget NODE | voters ID[,ID...]
//	producers N | show | on NODE        any of them with expect=REVISION
//
// Each command goes through its encoding, and each state through a snapshot.
func TestPlays(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
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

func perform(t *testing.T, script string) string {
	var out strings.Builder
	s := NewState()
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		fmt.Fprintln(&out, line)
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		for _, l := range act(t, &s, words) {
			fmt.Fprintln(&out, "  "+l)
		}
	}
	return out.String()
}

func act(t *testing.T, s *State, words []string) []string {
	switch words[0] {
	case "show":
		return show(*s)
	case "on":
		var all []string
		for _, a := range s.On(codec.NodeID(words[1])) {
			line := fmt.Sprintf("replica %d of group %d: %s/%d", a.Replica, a.Group, a.Topic, a.Number)
			if a.Initialized {
				line += ", initialized"
			}
			all = append(all, line)
		}
		for _, b := range s.Buriable(codec.NodeID(words[1])) {
			all = append(all, fmt.Sprintf("to bury: replica %d of group %d, was %s/%d", b.Replica, b.Group, b.Topic, b.Partition))
		}
		return all
	case "nodes":
		s.Nodes = maps.Clone(s.Nodes)
		for _, n := range words[1:] {
			s.Nodes[codec.NodeID(n)] = Node{Name: codec.NodeID(n)}
		}
		return nil
	}
	c := parse(t, words)
	again, err := DecodeCommand(c.Encode())
	require.NoError(t, err)
	require.Equal(t, c, again)
	next, result, err := Apply(*s, c)
	if err != nil {
		require.Equal(t, *s, State{s.Cluster, next.Revision, next.Nodes, next.Metadata, next.Topics, next.Tombstones, next.Removed, s.Recent, next.NextGroup, next.NextReplica, next.NextProducerID})
		*s = next
		return []string{err.Error()}
	}
	restored, err := DecodeState(next.Encode())
	require.NoError(t, err)
	require.Equal(t, next, restored)
	*s = next
	said := fmt.Sprintf("revision %d", result.Revision)
	if _, ok := c.Do.(RegisterNode); ok {
		said += fmt.Sprintf(", epoch %d", result.Epoch)
	}
	if _, ok := c.Do.(AllocateProducerIDs); ok {
		said += fmt.Sprintf(", producer ids from %d", result.FirstProducerID)
	}
	return []string{said}
}

func parse(t *testing.T, words []string) Command {
	name, rest := words[1], map[string]string{}
	for _, w := range words[2:] {
		key, value, ok := strings.Cut(w, "=")
		require.True(t, ok, "%q is no key=value", w)
		rest[key] = value
	}
	take := func(key string, otherwise int) int {
		v, ok := rest[key]
		if !ok {
			return otherwise
		}
		delete(rest, key)
		n, err := strconv.Atoi(v)
		require.NoError(t, err)
		return n
	}
	number := func() int64 {
		n, err := strconv.ParseInt(name, 10, 64)
		require.NoError(t, err)
		return n
	}
	c := Command{Expect: uint64(take("expect", 0)), ID: uint64(take("id", 0))}
	run, after := uint64(take("run", 0)), uint64(take("after", 0))
	partitions, replicas, change, term := take("partitions", 0), take("replicas", 0), take("change", 0), codec.Term(take("term", 0))
	var settings map[string]string
	if len(rest) > 0 {
		settings = rest
	}
	switch words[0] {
	case "found":
		do := FoundCluster{Cluster: uuid("cluster"), Node: codec.NodeID(name)}
		if list := strings.Split(name, ","); len(list) > 1 {
			do.Node = ""
			for _, n := range list {
				do.Nodes = append(do.Nodes, codec.NodeID(n))
			}
		}
		c.Do = do
	case "register":
		do := RegisterNode{Node: codec.NodeID(name), Disk: uuid(rest["disk"]), Address: rest["address"], Link: rest["link"], Rack: rest["rack"], Run: run, After: after}
		if rest["disk"] == "" {
			do.Disk = codec.UUID{}
		}
		c.Do = do
	case "admit":
		do := AdmitNode{Node: codec.NodeID(name), Link: rest["link"], Rack: rest["rack"]}
		if rest["disk"] != "" {
			do.Disk = uuid(rest["disk"])
		}
		c.Do = do
	case "remove":
		c.Do = RemoveNode{Node: codec.NodeID(name)}
	case "forget":
		c.Do = ForgetNode{Node: codec.NodeID(name)}
	case "voters":
		var do ChangeMetadata
		for _, id := range strings.Split(name, ",") {
			n, err := strconv.Atoi(id)
			require.NoError(t, err)
			do.Voters = append(do.Voters, codec.ReplicaID(n))
		}
		c.Do = do
	case "create":
		c.Do = CreateTopic{Name: codec.Topic(name), ID: uuid(name), Partitions: max(partitions, 1), Replicas: replicas, Settings: settings, Now: 5}
	case "alter":
		c.Do = AlterTopic{Name: codec.Topic(name), Partitions: partitions, Settings: settings}
	case "delete":
		c.Do = DeleteTopic{Name: codec.Topic(name)}
	case "initialize":
		c.Do = Initialize{Replicas: []codec.ReplicaID{codec.ReplicaID(number())}}
	case "change":
		do := ChangeReplicas{Group: codec.GroupID(number())}
		for _, n := range strings.Split(rest["nodes"], ",") {
			do.Nodes = append(do.Nodes, codec.NodeID(n))
		}
		c.Do = do
	case "replace":
		c.Do = ReplaceReplica{Replica: codec.ReplicaID(number())}
	case "finish":
		c.Do = FinishChange{Group: codec.GroupID(number()), Change: uint64(change), Term: term}
	case "take":
		c.Do = TakeChange{Group: codec.GroupID(number()), Change: uint64(change), Term: term}
	case "buried":
		c.Do = Buried{Replica: codec.ReplicaID(number())}
	case "producers":
		c.Do = AllocateProducerIDs{Count: number()}
	default:
		t.Fatalf("unknown command %q", words[0])
	}
	return c
}

// uuid is one that a name always gives.
func uuid(name string) (u codec.UUID) {
	copy(u[:], name)
	u[15] = 1
	return u
}

func show(s State) []string {
	all := []string{fmt.Sprintf("revision %d, next group %d, replica %d, producer %d", s.Revision, s.NextGroup, s.NextReplica, s.NextProducerID)}
	for _, r := range s.Metadata {
		n := s.Nodes[r.Node]
		line := fmt.Sprintf("metadata %d@%s, disk %s, epoch %d, %q", r.ID, r.Node, n.Disk, n.Epoch, n.Address)
		if r.Learner {
			line += ", learns"
		}
		if r.Leaving {
			line += ", leaving"
		}
		if n.Epoch > 0 || n.Disk != (codec.UUID{}) {
			all = append(all, line)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Topics)) {
		t := s.Topics[name]
		line := string(name)
		for _, k := range slices.Sorted(maps.Keys(t.Settings.Map())) {
			if v := t.Settings.Map()[k]; v != DefaultSettings().Map()[k] {
				line += fmt.Sprintf(" %s=%s", k, v)
			}
		}
		all = append(all, line)
		for i, p := range t.Partitions {
			line := fmt.Sprintf("  %d: group %d", i, p.Group)
			for _, r := range p.Replicas {
				line += fmt.Sprintf(" %d@%s", r.ID, r.Node)
				if r.Joins {
					line += "+"
				}
				if r.Leaving {
					line += "-"
				}
			}
			if p.Change > 0 {
				line += fmt.Sprintf(", change %d", p.Change)
			}
			if p.Term > 0 {
				line += fmt.Sprintf(", taken on in term %d", p.Term)
			}
			all = append(all, line)
		}
	}
	return all
}

// Whatever commands come, in whatever order: an old state is never changed,
// an id is never given twice, and the commands replayed, from the beginning or
// from any snapshot, give the same bytes.
func TestApplyIsPure(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 7))
		states, bytes, log := []State{founded(t)}, [][]byte{}, []Command{}
		bytes = append(bytes, states[0].Encode())
		given := map[codec.ReplicaID]codec.UUID{}
		for range 200 {
			c := anyCommand(r, states[len(states)-1])
			next, _, _ := Apply(states[len(states)-1], c)
			for _, topic := range next.Topics {
				for _, p := range topic.Partitions {
					for _, replica := range p.Replicas {
						id, old := given[replica.ID]
						require.True(t, !old || id == topic.ID, "replica id %d is given twice", replica.ID)
						given[replica.ID] = topic.ID
					}
				}
			}
			log, states, bytes = append(log, c), append(states, next), append(bytes, next.Encode())
		}
		for i, s := range states {
			require.Equal(t, string(bytes[i]), string(s.Encode()), "state %d of seed %d has changed", i, seed)
		}
		from := r.IntN(len(log))
		s, err := DecodeState(bytes[from])
		require.NoError(t, err)
		for _, c := range log[from:] {
			again, err := DecodeCommand(c.Encode())
			require.NoError(t, err)
			s, _, _ = Apply(s, again)
		}
		require.Equal(t, string(bytes[len(log)]), string(s.Encode()))
		require.Greater(t, s.Revision, uint64(20), "hardly anything was accepted")
	}
}

func founded(t *testing.T) State {
	s, _, err := Apply(NewState(), Command{Do: FoundCluster{Cluster: uuid("c"), Node: "n1"}})
	require.NoError(t, err)
	s.Nodes = map[codec.NodeID]Node{}
	for _, n := range []codec.NodeID{"n1", "n2", "n3", "n4"} {
		s.Nodes[n] = Node{Name: n}
	}
	return s
}

func anyCommand(r *rand.Rand, s State) Command {
	var c Command
	if r.IntN(10) == 0 {
		c.Expect = s.Revision + uint64(r.IntN(2))
	}
	name := codec.Topic(fmt.Sprintf("t%d", r.IntN(6)))
	node := codec.NodeID(fmt.Sprintf("n%d", r.IntN(6)))
	switch r.IntN(16) {
	case 13:
		c.Do = AdmitNode{Node: node, Disk: uuid(fmt.Sprint(r.IntN(9))), Link: "a", Rack: "r"}
	case 14:
		c.Do = RemoveNode{Node: node}
		if r.IntN(2) == 0 {
			c.Do = ForgetNode{Node: node}
		}
	case 15:
		var do ChangeMetadata
		for _, i := range r.Perm(len(s.Metadata)) {
			do.Voters = append(do.Voters, s.Metadata[i].ID)
		}
		c.Do = do
	case 9, 10:
		do := ChangeReplicas{Group: codec.GroupID(r.IntN(int(s.NextGroup)) + 1)}
		for _, n := range r.Perm(4)[:1+r.IntN(4)] {
			do.Nodes = append(do.Nodes, codec.NodeID(fmt.Sprintf("n%d", n+1)))
		}
		c.Do = do
	case 11:
		c.Do = ReplaceReplica{Replica: codec.ReplicaID(r.IntN(int(s.NextReplica)) + 1)}
	case 12:
		g := codec.GroupID(r.IntN(int(s.NextGroup)) + 1)
		if t, n, err := s.partition(g); err == nil {
			c.Do = FinishChange{Group: g, Change: t.Partitions[n].Change, Term: t.Partitions[n].Term}
			if r.IntN(2) == 0 {
				c.Do = TakeChange{Group: g, Change: t.Partitions[n].Change, Term: t.Partitions[n].Term + codec.Term(r.IntN(3)) - 1}
			}
			break
		}
		c.Do = FinishChange{Group: g, Change: 1}
	case 8:
		c.Do = RegisterNode{Node: node, Disk: uuid(fmt.Sprint(r.IntN(9)))}
	case 0, 1, 2:
		c.Do = CreateTopic{Name: name, ID: uuid(fmt.Sprint(r.Uint32())), Partitions: 1 + r.IntN(5), Replicas: r.IntN(6), Now: codec.Millis(r.IntN(100)),
			Settings: map[string]string{"retention.time": fmt.Sprintf("%dh", r.IntN(50))}}
	case 3:
		c.Do = AlterTopic{Name: name, Partitions: r.IntN(9)}
	case 4:
		c.Do = DeleteTopic{Name: name}
	case 5, 6:
		c.Do = Buried{Replica: codec.ReplicaID(r.IntN(int(s.NextReplica)) + 1)}
		if ids := slices.Sorted(maps.Keys(s.Tombstones)); len(ids) > 0 {
			c.Do = Buried{Replica: ids[r.IntN(len(ids))]}
		}
	default:
		c.Do = AllocateProducerIDs{Count: int64(r.IntN(1000))}
		c.ID = uint64(r.IntN(600))
	}
	return c
}

func TestDecodeRefuses(t *testing.T) {
	for p, says := range map[string]string{
		``:  "decode command: EOF",
		`{`: "decode command: unexpected EOF",
		`{"v":2,"do":"delete_topic","with":{"name":"a"}}`:              "version 2, 1 is known",
		`{"v":1,"do":"explode","with":{}}`:                             `decode command "explode": no such command`,
		`{"v":1,"do":"delete_topic","with":{"name":"a","force":true}}`: `unknown field "force"`,
		`{"v":1,"do":"delete_topic","with":{"name":"a"}} x`:            "more than one JSON value",
		`{"v":1,"do":"delete_topic"}`:                                  "EOF",
		`{"v":1,"do":"delete_topic","uuid":"x","with":{"name":"a"}}`:   "it has no uuid",
		`{"v":1,"do":"create_topic","uuid":"x","with":{"name":"a"}}`:   `parse uuid "x"`,
	} {
		_, err := DecodeCommand([]byte(p))
		require.ErrorContains(t, err, says, p)
	}
	s := founded(t)
	s, _, err := Apply(s, Command{Do: CreateTopic{Name: "a", ID: uuid("a"), Partitions: 2}})
	require.NoError(t, err)
	good := string(s.Encode())
	for from, c := range map[string]struct{ to, says string }{
		`"v":5`:              {`"v":9`, "version 9, up to 5 is known"},
		`"name":"n1","disk"`: {`"nom":"n1","disk"`, "unknown field"},
		`"next_group":4`:     {`"next_group":3`, "group 3 of a/1 is given twice, or not below the next id 3"},
		`"next_replica":8`:   {`"next_replica":7`, "replica 7 is given twice, or not below the next id 7"},
		`"group":3`:          {`"group":2`, "group 2 of a/1 is given twice"},
		`"name":"a"`:         {`"name":"a/b"`, "topic name"},
		`"cleanup":"delete"`: {`"cleanup":"burn"`, "allowed is delete"},
	} {
		require.Contains(t, good, from)
		_, err := DecodeState([]byte(strings.Replace(good, from, c.to, 1)))
		require.ErrorContains(t, err, c.says)
	}
	old := strings.Replace(good, `"v":5`, `"v":1`, 1)
	for n := range s.Nodes {
		old = strings.Replace(old, fmt.Sprintf(`{"name":%q,"disk":"00000000-0000-0000-0000-000000000000","epoch":0}`, n), fmt.Sprintf("%q", n), 1)
	}
	require.Contains(t, old, `"nodes":["n1","n2","n3","n4"]`)
	got, err := DecodeState([]byte(old))
	require.NoError(t, err, "a snapshot of version 1")
	require.Equal(t, s, got)
}

func FuzzDecodeCommand(f *testing.F) {
	f.Add(Command{Do: FoundCluster{Cluster: uuid("c"), Node: "n1"}}.Encode())
	f.Add(Command{Expect: 4, Do: CreateTopic{Name: "a", ID: uuid("a"), Partitions: 2, Settings: map[string]string{"durability": "os"}}}.Encode())
	f.Add(Command{Do: AlterTopic{Name: "a", Partitions: 3}}.Encode())
	f.Add(Command{Do: DeleteTopic{Name: "a"}}.Encode())
	f.Add(Command{Do: Buried{Replica: 3}}.Encode())
	f.Add(Command{Do: AllocateProducerIDs{Count: 1000}}.Encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		c, err := DecodeCommand(p)
		if err != nil {
			return
		}
		again, err := DecodeCommand(c.Encode())
		require.NoError(t, err)
		require.Equal(t, c.Encode(), again.Encode())
		s := NewState()
		s.Nodes["n1"] = Node{Name: "n1"}
		before := string(s.Encode())
		_, _, _ = Apply(s, c)
		require.Equal(t, before, string(s.Encode()))
	})
}

func FuzzDecodeState(f *testing.F) {
	f.Add(NewState().Encode())
	s, _, _ := Apply(NewState(), Command{Do: FoundCluster{Cluster: uuid("c"), Node: "n1"}})
	s, _, _ = Apply(s, Command{Do: CreateTopic{Name: "a", ID: uuid("a"), Partitions: 2}})
	f.Add(s.Encode())
	s, _, _ = Apply(s, Command{Do: DeleteTopic{Name: "a"}})
	f.Add(s.Encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		s, err := DecodeState(p)
		if err != nil {
			return
		}
		again, err := DecodeState(s.Encode())
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}
