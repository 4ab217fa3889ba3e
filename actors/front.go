package actors

import (
	"context"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/codec"
)

// PID stands for a partition in the actor system of this broker, wherever that is led:
// it takes the messages of codec (Store, Read, Await, ...) and answers their senders, as
// the PIDs do that a service gets. It may be kept for as long as the broker runs. It does
// not wait for credit: without any the answer is of code Overloaded.
func (b *Broker) PID(tp codec.TopicPartition) *actor.PID {
	cluster, _ := b.Identity()
	return actor.NewPID(codec.PIDAddress(cluster), tp.String())
}

// resolve finds the partition that a PID stands for.
func (b *Broker) resolve(pid *actor.PID) (actor.Process, bool) {
	if cluster, _ := b.Identity(); pid.Address != codec.PIDAddress(cluster) {
		return nil, false
	}
	tp, ok := codec.PartitionOfID(pid.Id)
	return &front{broker: b, tp: tp, nobody: !ok}, true
}

// front is what answers behind the PID of a partition. It is no actor: it hands on what
// it is sent, in the turn of whoever sends it.
type front struct {
	broker *Broker
	tp     codec.TopicPartition
	nobody bool // the PID names no partition
}

// noWait is for who must not wait for credit.
var noWait = func() context.Context {
	ctx, end := context.WithCancel(context.Background())
	end()
	return ctx
}()

// SendUserMessage implements actor.Process. Who sends what is no message to a partition
// is told what is told of dead letters.
func (f *front) SendUserMessage(pid *actor.PID, sent any) {
	_, message, sender := actor.UnwrapEnvelope(sent)
	system := f.broker.house.system
	call := codec.CallOf(message)
	if call == nil || f.nobody {
		if sender != nil {
			system.Root.Send(sender, &actor.DeadLetterResponse{Target: pid})
		}
		return
	}
	call.TopicPartition = f.tp
	call.Batch = slices.Clone(call.Batch) // the partition stamps it, and its sender may send it again
	f.broker.Serve(noWait, "", call, func(r *codec.Reply) {
		if sender != nil {
			system.Root.RequestWithCustomSender(sender, codec.AnswerTo(message, r), pid)
		}
	})
}

// SendSystemMessage implements actor.Process. A partition is not stopped by who writes to
// it; whoever watches it is told of its end when the broker has ended, which is when
// it asks.
func (f *front) SendSystemMessage(pid *actor.PID, message any) {
	m, watches := message.(*actor.Watch)
	if !watches || !f.broker.leaving.Load() {
		return
	}
	if w, ok := f.broker.house.system.ProcessRegistry.Get(m.Watcher); ok {
		w.SendSystemMessage(m.Watcher, &actor.Terminated{Who: pid, Why: actor.TerminatedReason_AddressTerminated})
	}
}

// Stop implements actor.Process; see SendSystemMessage.
func (f *front) Stop(*actor.PID) {}
