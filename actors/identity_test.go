package actors

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

var (
	aCluster = codec.UUID{1, 15: 1}
	aDisk    = codec.UUID{2, 15: 2}
	another  = codec.UUID{3, 15: 3}
)

// A crash in the midst of founding leaves a replica of the metadata that nobody was
// told of. Whatever its directory is started for next, it begins with the members of
// that, and not with those of before: a cluster of one, say, inside of one of three.
func TestWhatFoundingLeftIsMadeAnew(t *testing.T) {
	three := &Founding{Cluster: aCluster, Nodes: []codec.NodeID{"n1", "n2", "n3"}}
	for name, cfg := range map[string]Config{
		"found three": {Founding: three}, "found one": {}, "join": {Joining: &Joining{Cluster: aCluster, Replica: 7}}, "join as the first": {Joining: &Joining{Cluster: aCluster, Replica: 1}},
	} {
		for before, left := range map[string]Config{"three": {Founding: three}, "one": {}, "a joiner": {Joining: &Joining{Cluster: aCluster, Replica: 1}}} {
			t.Run(name+" after "+before, func(t *testing.T) {
				dir := t.TempDir()
				cfg.Dir, left.Dir, cfg.Node, left.Node = dir, dir, "n1", "n1"
				_, err := settle(wal.OS{}, left, aCluster, aDisk)
				require.NoError(t, err)
				require.NoError(t, os.Remove(filepath.Join(dir, identityName)))
				id, err := settle(wal.OS{}, cfg, aCluster, another)
				require.NoError(t, err)
				report, err := wal.Inspect(wal.OS{}, replicaDir(dir, codec.MetadataGroup, id.metadataReplica()), nil)
				require.NoError(t, err)
				require.Equal(t, newborn(codec.MetadataGroup, id.metadataReplica(), id.founders(), id.joined()).Conf, report.Hard.Conf)
				again, err := settle(wal.OS{}, Config{Dir: dir}, codec.UUID{}, codec.UUID{})
				require.NoError(t, err)
				require.Equal(t, id, again)
			})
		}
	}
}

// Whose a directory is does not change by what it is started with.
func TestADirectoryKeepsItsOwner(t *testing.T) {
	dir := t.TempDir()
	join := Config{Dir: dir, Node: "n2", Disk: aDisk, Joining: &Joining{Cluster: aCluster, Replica: 4}}
	id, err := settle(wal.OS{}, join, codec.UUID{}, codec.UUID{})
	require.NoError(t, err)
	require.Equal(t, codec.ReplicaID(4), id.metadataReplica())
	require.Equal(t, aDisk.String(), id.Disk)
	require.Empty(t, id.founders())
	join.Joining = &Joining{Cluster: another, Replica: 9}
	again, err := settle(wal.OS{}, join, codec.UUID{}, codec.UUID{})
	require.NoError(t, err)
	require.Equal(t, id, again)
	join.Disk = another
	_, err = settle(wal.OS{}, join, codec.UUID{}, codec.UUID{})
	require.ErrorContains(t, err, "start with the directory that was asked for")
	join.Disk, join.Node = codec.UUID{}, "n3"
	_, err = settle(wal.OS{}, join, codec.UUID{}, codec.UUID{})
	require.ErrorContains(t, err, `belongs to node "n2", not "n3"`)
}

// Metadata that were in use are not taken for a beginning because the file that names
// their owner is gone.
func TestMetadataThatWereUsedAreNotMadeAnew(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir)
	closeBroker(t, b)
	require.NoError(t, os.Remove(filepath.Join(dir, identityName)))
	_, err := settle(wal.OS{}, Config{Dir: dir, Node: "n1"}, aCluster, aDisk)
	require.ErrorContains(t, err, "restore that file")
}

// Of six founders five vote, of four three: the others begin as learners, in the
// metadata and in consensus.
func TestFoundersThatDoNotVote(t *testing.T) {
	for founders, votes := range map[int]int{1: 1, 2: 1, 3: 3, 4: 3, 5: 5, 6: 5, 9: 5} {
		id := identity{Node: "n1"}
		for i := range founders {
			id.Founders = append(id.Founders, codec.NodeID([]string{"n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"}[i]))
		}
		s, _, err := cluster.Apply(cluster.NewState(), cluster.Command{Do: cluster.FoundCluster{Cluster: aCluster, Nodes: id.Founders}})
		require.NoError(t, err)
		require.Equal(t, s.Metadata, id.founders())
		learners := 0
		for _, r := range s.Metadata {
			if r.Learner {
				learners++
			}
		}
		require.Equal(t, votes, founders-learners)
	}
}
