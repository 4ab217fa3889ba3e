package cluster

import (
	"errors"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// Recent is a command that was decided, and what its author is told. When the
// answer is lost on the way, the author asks again with the same ID; only the first
// counts. That holds for a refusal too: a copy that comes late does not do what its
// author was told is not done.
type Recent struct {
	ID              uint64
	Revision        uint64
	FirstProducerID int64
	// Code and Message say why it was refused.
	Code    codec.Code
	Message string
}

// recentMax is how many commands are remembered. Only those have an ID that people
// or their clients ask for, and whoever asks does so for some seconds.
const recentMax = 256

// recent is what came of a command with an ID.
func (s State) recent(id uint64) (result Result, known bool, err error) {
	if id == 0 || codec.Mutant("command-carried-out-twice") {
		return Result{}, false, nil
	}
	for _, r := range s.Recent {
		if r.ID == id && r.Code != codec.OK {
			return Result{}, true, codec.Errorf(r.Code, "%s", r.Message)
		} else if r.ID == id {
			return Result{Revision: r.Revision, FirstProducerID: r.FirstProducerID}, true, nil
		}
	}
	return Result{}, false, nil
}

// remember is s that knows of a command with an ID.
func (s State) remember(id uint64, r Result, err error) State {
	if id == 0 {
		return s
	}
	one := Recent{ID: id, Revision: r.Revision, FirstProducerID: r.FirstProducerID}
	var refused *codec.Error
	if errors.As(err, &refused) {
		one = Recent{ID: id, Code: refused.Code, Message: refused.Message}
	}
	s.Recent = append(slices.Clone(s.Recent[max(0, len(s.Recent)-recentMax+1):]), one)
	return s
}
