package service

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/extensions"

	"github.com/troupe-mq/troupe/codec"
)

// ways are which attachment the PIDs of a cluster go by, in one actor system. That asks
// resolvers in the order in which they came and can let none go, so it is given one.
type ways struct {
	mu sync.Mutex
	by map[string]*Attachment // by the address of their PIDs; a closed one stays until the next
}

var (
	waysID   = extensions.NextExtensionID()
	newWays  sync.Mutex // a system's list of extensions has no lock
	errTwice = codec.Errorf(codec.InvalidArgument, "this actor system is attached to that cluster already, and a PID has one way to go: close that first, or attach another system")
)

// ExtensionID implements extensions.Extension.
func (w *ways) ExtensionID() extensions.ExtensionID { return waysID }

func waysOf(system *actor.ActorSystem) *ways {
	newWays.Lock()
	defer newWays.Unlock()
	w, ok := system.Extensions.Get(waysID).(*ways)
	if !ok {
		w = &ways{by: map[string]*Attachment{}}
		system.Extensions.Register(w)
		system.ProcessRegistry.RegisterAddressResolver(w.resolve)
	}
	return w
}

// enter has PIDs of a's cluster go by a from now on.
func (w *ways) enter(a *Attachment) *codec.Error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if was := w.by[a.address]; was != nil && !was.isClosed() {
		return errTwice
	}
	w.by[a.address] = a
	return nil
}

// resolve is the address resolver of the actor system.
func (w *ways) resolve(pid *actor.PID) (actor.Process, bool) {
	w.mu.Lock()
	a := w.by[pid.Address]
	w.mu.Unlock()
	if a == nil {
		return nil, false
	}
	tp, ok := codec.PartitionOfID(pid.Id)
	return &process{attachment: a, tp: tp, nobody: !ok}, true
}
