package cluster

import (
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// Recent is a command that was decided, and what its author is told. When the
// answer is lost on the way, the author asks again with the same ID; only the first
// counts.
type Recent struct {
	ID              uint64
	Revision        uint64
	FirstProducerID int64
}

// recentMax is how many commands are remembered. Only those have an ID that people
// or their clients ask for, and whoever asks does so for some seconds.
const recentMax = 256

// recent is what came of a command with an ID.
func (s State) recent(id uint64) (Result, bool) {
	if id == 0 || codec.Mutant("command-carried-out-twice") {
		return Result{}, false
	}
	for _, r := range s.Recent {
		if r.ID == id {
			return Result{Revision: r.Revision, FirstProducerID: r.FirstProducerID}, true
		}
	}
	return Result{}, false
}

func (s *State) remember(id uint64, r Result) {
	if id == 0 {
		return
	}
	s.Recent = append(slices.Clone(s.Recent[max(0, len(s.Recent)-recentMax+1):]), Recent{id, r.Revision, r.FirstProducerID})
}
