package service

import (
	"maps"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/codec"
)

// process stands behind the PID of a partition. It is no actor: it takes what it is sent
// in the turn of whoever sends it, and does not wait. What is not one of codec's
// messages never leaves this process.
type process struct {
	attachment *Attachment
	tp         codec.TopicPartition
	nobody     bool // the PID names no partition
}

// SendUserMessage implements actor.Process. Who sends what is no message to a partition
// is told what is told of dead letters.
func (p *process) SendUserMessage(pid *actor.PID, sent any) {
	a := p.attachment
	_, message, sender := actor.UnwrapEnvelope(sent)
	call := codec.CallOf(message)
	if call == nil || p.nobody {
		if sender != nil {
			a.system.Root.Send(sender, &actor.DeadLetterResponse{Target: pid})
		}
		return
	}
	call.TopicPartition = p.tp
	e := &errand{to: pid, sender: sender, message: message, call: call, size: call.Size(), cost: call.Cost()}
	if call.Kind == codec.CallProduce {
		if err := tooLittle(call.Batch); err != nil {
			a.refuse(e, err)
			return
		}
	}
	if err := a.enter(e); err != nil {
		a.refuse(e, err)
	}
}

// tooLittle says why a batch cannot be sent: a broker would close the line.
func tooLittle(b codec.Batch) *codec.Error {
	switch {
	case len(b) < codec.BatchHeaderBytes:
		return codec.Errorf(codec.CorruptBatch, "a batch of %d bytes: its head has %d", len(b), codec.BatchHeaderBytes)
	case len(b) > codec.CallBatchMax:
		return codec.Errorf(codec.RecordTooLarge, "a batch of %d bytes: no topic takes more than %d", len(b), codec.CallBatchMax)
	}
	return nil
}

// watcher is who watches the PID of a partition, however often it has said so.
type watcher struct{ who, of *actor.PID }

// watching is a watcher by what its PIDs say.
type watching struct{ whoAddress, who, of string }

func (w watcher) key() watching { return watching{w.who.Address, w.who.Id, w.of.Id} }

// watchersMax bounds them. An actor that has ended says nothing, and is taken out when
// there is no room.
const watchersMax = 10_000

// SendSystemMessage implements actor.Process: none leaves this program. A partition does
// not end while the attachment lives, so who watches it is told when that is closed;
// and it is not stopped by who writes to it.
func (p *process) SendSystemMessage(pid *actor.PID, message any) {
	switch m := message.(type) {
	case *actor.Watch:
		p.attachment.watch(watcher{m.Watcher, pid})
	case *actor.Unwatch:
		p.attachment.unwatch(watcher{m.Watcher, pid})
	}
}

// Stop implements actor.Process; see SendSystemMessage.
func (p *process) Stop(*actor.PID) {}

func (a *Attachment) watch(w watcher) {
	a.mu.Lock()
	if len(a.watchers) >= watchersMax {
		maps.DeleteFunc(a.watchers, func(_ watching, w watcher) bool {
			_, lives := a.system.ProcessRegistry.Get(w.who)
			return !lives
		})
	}
	closed := a.closed || len(a.watchers) >= watchersMax
	if !closed {
		a.watchers[w.key()] = w
	}
	a.mu.Unlock()
	if closed {
		a.terminated(w)
	}
}

func (a *Attachment) unwatch(w watcher) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.watchers, w.key())
}

// terminated tells who watched that there is nothing to watch any more.
func (a *Attachment) terminated(w watcher) {
	if to, ok := a.system.ProcessRegistry.Get(w.who); ok {
		to.SendSystemMessage(w.who, &actor.Terminated{Who: w.of, Why: actor.TerminatedReason_AddressTerminated})
	}
}
