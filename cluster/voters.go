package cluster

import (
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// VotersMax is how many replicas of the metadata vote at most: any two of five may
// be away.
const VotersMax = 5

// FoundingVoters is how many of so many founders vote, the first ones: an odd
// number, for an even one is in the way of more majorities and bears no more
// losses. The others learn.
func FoundingVoters(founders int) int { return odd(min(founders, VotersMax)) }

// odd is the largest odd number up to n, and at least 1.
func odd(n int) int { return max(1, n-1+n%2) }

// changeMetadata says which replicas of the metadata are to vote.
func changeMetadata(s State, do ChangeMetadata) (State, Result, error) {
	if n := len(do.Voters); n > VotersMax || n != odd(n) {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "%d voters: want an odd number up to %d", n, VotersMax)
	}
	for i, id := range do.Voters {
		at := slices.IndexFunc(s.Metadata, func(r Replica) bool { return r.ID == id })
		if at < 0 || slices.Contains(do.Voters[:i], id) {
			return s, Result{}, codec.Errorf(codec.InvalidArgument, "the metadata has no replica %d, or it is named twice", id)
		}
		if r := s.Metadata[at]; r.Leaving || !s.Nodes[r.Node].Active() {
			return s, Result{}, codec.Errorf(codec.InvalidArgument, "replica %d is to vote, and node %q is not active", id, r.Node)
		}
	}
	s.Metadata = slices.Clone(s.Metadata)
	for i := range s.Metadata {
		s.Metadata[i].Learner = !slices.Contains(do.Voters, s.Metadata[i].ID)
	}
	return s, Result{}, nil
}

// MetadataOn is the replica of the metadata on a node; 0 without one.
func (s State) MetadataOn(node codec.NodeID) codec.ReplicaID {
	r, _ := newestOn(s.Metadata, node)
	return r.ID
}
