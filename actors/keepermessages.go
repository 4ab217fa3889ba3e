package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/codec"
)

// Messages to the keeper.
type (
	settled struct {
		id  identity
		err error
	}
	// ready tells that a replica serves, or why it does not.
	ready struct {
		group   codec.GroupID
		replica codec.ReplicaID
		err     error
	}
	prepared struct {
		group   codec.GroupID
		replica codec.ReplicaID
		err     error
	}
	initialized struct {
		groups   []codec.GroupID
		revision uint64 // of the metadata then
		err      error
	}
	// whenOpen asks to be told when every partition of a topic has reported.
	whenOpen struct {
		topic codec.Topic
		done  func(error)
	}
	leave struct{ done func() }
	// allClosed says that the last replica was closed.
	allClosed struct{}
	// passed calls done when the keeper has dealt with all that came before.
	passed struct{ done func() }
	// prepareAgain comes some time after there was no room for a replica.
	prepareAgain struct{ group codec.GroupID }
	// removeAgain comes some time after the data of a replica could not be removed
	// for want of room.
	removeAgain struct {
		group   codec.GroupID
		replica codec.ReplicaID
	}
	// dismiss ends the actor of a replica that was buried.
	dismiss  struct{ pid *actor.PID }
	beat     struct{}
	measured struct {
		free int64
		err  error
	}
)
