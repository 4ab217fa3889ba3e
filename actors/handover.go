package actors

import (
	"slices"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// Transfer asks the replica on this broker, when it leads, to hand leadership to
// the replica on another. Whether that one takes it is seen later.
func (h *Handle) Transfer(to codec.NodeID) { h.tell(&transfer{to}, func(error) {}) }

// HandOver is Transfer for whoever has to be told why not: a *codec.Error of code
// NotLeader when another replica leads, and InvalidArgument when the node has none.
func (h *Handle) HandOver(to codec.NodeID) error {
	if s := h.state.Load(); s.write != nil && !s.leader {
		return s.write
	}
	m := h.members.Load()
	if m == nil || !slices.ContainsFunc(m.list, func(r cluster.Replica) bool { return r.Node == to && !r.Leaving }) {
		return codec.Errorf(codec.InvalidArgument, "%s has no replica on node %q that stays", h.tp, clip(string(to)))
	}
	h.Transfer(to)
	return nil
}
