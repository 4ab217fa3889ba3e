//go:build mutants

package codec

import "maps"

// mutants are the deliberate bugs: what each does wrong.
var mutants = map[string]string{
	"ack-before-fsync":          "entries count as durable that were not fsynced",
	"wal-alone-synced":          "of the two files of an entry only the WAL is fsynced",
	"segment-alone-synced":      "of the two files of an entry only the segment is fsynced",
	"forgotten-vote":            "a vote is given and not written down",
	"response-before-sync":      "a response leaves before what it rests on is durable",
	"commit-before-cut":         "a commit index is written down that is about what is to be cut",
	"acknowledged-by-one":       "a leader answers when its own disk has an entry",
	"uncommitted-is-read":       "readers see what is not committed",
	"payload-not-checked":       "batches are not held against their descriptors",
	"batch-not-copied":          "what is kept for other replicas is its owner's memory",
	"letter-not-checked":        "letters are taken whatever their checksum says",
	"promise-by-index":          "a promise is kept by an entry of another term",
	"unknown-is-no":             "an outcome that is not known is told as not written",
	"empty-disk-votes":          "a founder with an empty disk votes for whoever has more",
	"never-answered":            "whoever waits when leadership ends is not told",
	"answered-twice":            "a reply is called twice",
	"dedup-dropped":             "a batch that was sent again is stored again",
	"dedup-forgets-flights":     "a batch that was sent again while the first is on its way is stored again",
	"offsets-from-commit":       "a new leader counts offsets from the first entry on that it sees committed, not from the end of its log",
	"watermark-off-by-one":      "readers see one entry more than is committed",
	"rot-is-served":             "readers are given batches whose checksum does not hold",
	"deposed-leader-says-yes":   "a leader that is deposed says that all it had in flight is stored",
	"unexpired-goes":            "retention takes what its settings keep",
	"tombstone-not-looked-at":   "data is removed because the metadata do not mention it",
	"snapshot-without-tombs":    "metadata that begin anew from a snapshot know no tombstones",
	"fsync-tried-again":         "a replica whose fsync failed is opened again",
	"local-retention":           "a follower drops what it likes",
	"names-not-synced":          "the names of new files are not made durable",
	"producer-ids-again":        "a block of producer ids is given twice",
	"cut-not-made":              "a suffix that was replaced stays in the segment index",
	"sequence-gap-taken":        "a batch whose predecessor is missing is stored",
	"snapshot-without-table":    "a log that begins anew knows no producers",
	"command-carried-out-twice": "a command that is asked for more than once is decided each time",
	"replica-id-again":          "a newcomer gets the id of a replica that is leaving",
	"finished-too-early":        "a change counts as finished at its first step",
	"joins-as-founder":          "a newcomer begins with the members as they are, as the first ones did",
	"conf-applied-again":        "a configuration that came with a snapshot is applied again from the log",
	"end-of-a-stale-leader":     "a leader says that an offset is above the end of its log, and has not asked whether it still leads",
	"gap-of-a-stale-leader":     "a leader says that a sequence is missing, and has not asked whether it still leads",
	"one-commit-for-all":        "heartbeats that travel together carry the commit index of the first",
	"epoch-not-looked-at":       "a batch of an older epoch of a producer is taken",
}

// mutant is the one that is switched on.
var mutant string

// Plant switches a deliberate bug on, for all of the process.
func Plant(name string) {
	if _, known := mutants[name]; !known && name != "" {
		panic("codec: no mutant " + name)
	}
	mutant = name
}

// Mutant says whether a deliberate bug is switched on.
func Mutant(name string) bool {
	if _, known := mutants[name]; !known {
		panic("codec: no mutant " + name)
	}
	return mutant == name
}

// Mutants are all of them: what each does wrong, by name.
func Mutants() map[string]string { return maps.Clone(mutants) }
