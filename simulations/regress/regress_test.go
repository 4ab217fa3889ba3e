package regress

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/simulations/scenario"
	"github.com/troupe-mq/troupe/simulations/world"
)

// found is one bug that the one-node scenario showed.
type found struct {
	seed uint64
	was  string
	law  string // the test that holds it whatever the seed now plays
}

var bugs = []found{
	{5, "the name of the data directory was never fsynced, so a loss of power took all of it", "simulations/world: TestADirectoryIsMadeDurably"},
	{2, "an error while a log was opened closed a log that was not there: a panic on the disk port", "simulations/world: TestTheKthDiskCallFails"},
	{58, "the world's door gave room to the next request between two answers that left together, and its refusal overtook the second", "simulations/world: the visitors of TestOneNode"},
}

// cluster is one bug that a scenario of several nodes showed.
type cluster struct {
	scenario string
	seed     uint64
	was      string
	law      string
}

var clusterBugs = []cluster{
	{"swarm", 8, "a follower wrote down a commit index that was about entries it was about to cut: after a crash its old end was committed", "wal: TestACommitBehindACutIsNotOfWhatIsCut"},
	{"s13-lost-disk", 6, "a broker that had just started was elected by a founder with an empty disk, which had voted for another in that term: two leaders of the metadata", "simulations/world: TestAForgetfulFounderElectsNobody"},
	{"s18-moves", 1, "a leader was to go by one change of replicas and alone to stay by the next, which came in the middle of the first: nobody was left to lead out of the joint configuration", "actors/replica: testdata/moves.txt"},
	{"swarm", 1010, "a leader that was deposed and had not heard of it told a producer that its sequence was missing, for what came before was stored with the next leader", "actors/replica: testdata/producer.txt"},
	{"s18-moves", 20018, "a producer that went to a replica which had moved away was told that its topic had been deleted", "simulations/world: TestAReplicaThatMovedAwaySendsItsClientsOn"},
	{"s10-disk-full", 60022, "a log that was opened again when its disk had room showed its readers less than before", "simulations/world: the bounds of every replica, in every scenario"},
	{"swarm", 100205, "retention that was decided before a snapshot replaced the log was carried out on the new one, whose beginning went back", "wal: TestRetentionOfTheLogBeforeASnapshotDoesNothing"},
	{"swarm", 100058, "a log whose replicas had shrunk to one went on saying that two are in sync", "simulations/world: TestALogThatIsLeftAloneSaysSo"},
	{"s18-moves", 100282, "two replicas that were leaving refused their votes to the one that stayed, which had forgotten that they were: no replica led any more", "actors/replica: testdata/votes.txt"},
	{"swarm", 200065, "the data directory could not be fsynced, and the broker went on making replicas in it, which a power cut took", "simulations/world: TestABrokerWhoseDirectoryCannotBeFsyncedEnds"},
	{"s19-snapshots", 300047, "a topic whose deletion was being decided when the time for it was over was said not to have been deleted", "actors: TestACommandThatIsTriedAgainMayBeDecided"},
	{"s21-retries", 400179, "the world took it for a batch stored twice that a deposed leader, which knew of no later epoch, said where it had been stored before", "simulations/world: the mutant epoch-not-looked-at, that it still finds the real thing"},
	{"swarm", 300329, "the world could not end a process whose start hung before there was a broker: its disk hung for ever", "simulations/world: TestAStartThatHangsIsEnded"},
	{"s23-members-come-and-go", 1012, "a snapshot of the metadata was durable before the configuration that was decided before it, which was missing for ever after a crash", "simulations/world: TestASnapshotIsNotAheadOfItsConfiguration"},
	{"swarm", 710006, "a broker came back with metadata of before a topic was deleted, made a replica of it again, and kept its directory for ever", "the seed"},
	{"s26-crash-upon-crash", 3, "a quarantined replica of a log to which nothing was written was counted as in sync for ever", "simulations/world: TestAQuarantinedReplicaSendsItsReadersElsewhere"},
	{"s15-pause", 1, "a leader that was deposed and had not heard of it told a reader that where it had come to elsewhere is above the end of the log", "simulations/world: readers of every scenario, who go on at another replica, and the mutant end-of-a-stale-leader"},
}

func TestBugsOfClustersStayFound(t *testing.T) {
	for _, b := range clusterBugs {
		s, err := scenario.Find(b.scenario)
		require.NoError(t, err)
		o, err := world.Play(s, b.seed, nil)
		require.NoError(t, err, "%s. Repeat it: make sim SCENARIO=%s SEED=%d", b.was, b.scenario, b.seed)
		require.Empty(t, o.Violations, "%s. Repeat it: make sim SCENARIO=%s SEED=%d", b.was, b.scenario, b.seed)
	}
}

func TestBugsStayFound(t *testing.T) {
	for _, b := range bugs {
		t.Run(fmt.Sprintf("seed %d", b.seed), func(t *testing.T) {
			s, err := world.RunOneNode(b.seed, nil)
			require.NoError(t, err, "%s. Repeat it: make sim-one SEED=%d N=1", b.was, b.seed)
			require.Empty(t, s.Violations, "%s. Repeat it: make sim-one SEED=%d N=1", b.was, b.seed)
		})
	}
}
