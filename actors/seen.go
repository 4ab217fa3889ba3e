package actors

// Seen is a path that is rarely taken. A simulation that never takes one is
// blind there, and says so.
type Seen string

// The paths that a simulation has to take.
const (
	SeenFlushLost   Seen = "leadership lost while the disk was writing"
	SeenTornEnd     Seen = "the end of a log cut at its opening"
	SeenCut         Seen = "a suffix replaced by another leader's"
	SeenSnapshot    Seen = "a log began anew from a snapshot"
	SeenMachine     Seen = "a machine restored from another's snapshot"
	SeenFenced      Seen = "a producer fenced"
	SeenDuplicate   Seen = "a batch sent again and not stored again"
	SeenUnknown     Seen = "an outcome that is not known"
	SeenReopened    Seen = "a log opened again when its disk had room"
	SeenQuarantine  Seen = "a damaged replica quarantined"
	SeenMended      Seen = "a slot of the hard state, or a snapshot, taken from its copy"
	SeenHang        Seen = "a leader whose disk hangs gave up"
	SeenForgotten   Seen = "a leader forgotten because its process ended"
	SeenFromDisk    Seen = "a follower sent batches from the disk"
	SeenConfApplied Seen = "a configuration applied again at an opening"
	SeenJointLeft   Seen = "a joint configuration left by a new leader"
	SeenHealed      Seen = "a damaged replica replaced"
	SeenMoved       Seen = "the replicas of a partition moved"
	SeenBalanced    Seen = "leadership went back to the preferred leader"
	SeenPanic       Seen = "an actor panicked"
)

// Sometimes are the paths that some of any thousand runs have to take: all but
// one that only a guard against what should not happen leads to, and but
// SeenPanic, which none may take.
var Sometimes = []Seen{
	SeenFlushLost, SeenTornEnd, SeenCut, SeenSnapshot, SeenMachine, SeenFenced, SeenDuplicate, SeenUnknown, SeenReopened,
	SeenQuarantine, SeenMended, SeenHang, SeenForgotten, SeenFromDisk, SeenJointLeft, SeenMoved, SeenHealed, SeenBalanced,
}

// seen tells a simulation of a rare path.
func (h *house) seen(what Seen) { h.seenWhy(what, "") }

func (h *house) seenWhy(what Seen, why string) {
	if f := h.cfg.Ports.Seen; f != nil {
		f(what, why)
	}
}
