package world

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox delivers one message a step, system messages first, each kind in
// the order it came.
type mailbox struct {
	life      *Life
	lane      lane
	invoker   actor.MessageInvoker
	system    queue[any]
	user      queue[any]
	suspended bool
	stuck     bool // the actor hangs in a disk call
}

// Mailbox makes a mailbox of the life; it is an actor.MailboxProducer.
func (l *Life) Mailbox() actor.Mailbox {
	m := &mailbox{life: l}
	m.lane.work, m.lane.more = m.deliver, m.waiting
	l.boxes = append(l.boxes, m)
	return m
}

// RegisterHandlers learns whose mailbox it is.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
	m.lane.key = m.life.name
	if c, ok := invoker.(interface{ Self() *actor.PID }); ok {
		m.lane.key += "/" + c.Self().Id
	}
}

// Start has nothing to do: the first message wakes the mailbox.
func (m *mailbox) Start() {}

// UserMessageCount is how many user messages wait.
func (m *mailbox) UserMessageCount() int { return m.user.len() }

// PostSystemMessage queues a message of the actor system itself.
func (m *mailbox) PostSystemMessage(message any) {
	m.life.w.guard("send", m.lane.key, message)
	m.system.push(message)
	m.wake()
}

// PostUserMessage queues a message. Of a batch it queues each message and
// then the batch, as protoactor's own mailbox does.
func (m *mailbox) PostUserMessage(message any) {
	m.life.w.guard("send", m.lane.key, message)
	if batch, ok := actor.UnwrapEnvelopeMessage(message).(actor.MessageBatch); ok {
		for _, each := range batch.GetMessages() {
			m.PostUserMessage(each)
		}
	}
	m.user.push(message)
	m.wake()
}

func (m *mailbox) wake() {
	if m.waiting() {
		m.life.w.wake(&m.lane)
	}
}

func (m *mailbox) waiting() bool {
	if m.life.dead || m.life.paused || m.stuck {
		return false
	}
	return m.system.len() > 0 || !m.suspended && m.user.len() > 0
}

// deliver hands one message to the actor. A panic there goes to its
// supervisor.
func (m *mailbox) deliver() {
	if !m.waiting() {
		return // killed since it was made ready
	}
	var message any
	defer func() {
		switch r := recover().(type) {
		case nil:
		case hung:
			m.stuck = true
		default:
			m.invoker.EscalateFailure(r, message)
		}
	}()
	if m.system.len() > 0 {
		message = m.system.pop()
		m.note(message)
		m.deliverSystem(message)
		return
	}
	message = m.user.pop()
	m.note(message)
	m.invoker.InvokeUserMessage(message)
}

func (m *mailbox) deliverSystem(message any) {
	switch message.(type) {
	case *actor.SuspendMailbox:
		m.suspended = true
	case *actor.ResumeMailbox:
		m.suspended = false
	default:
		m.invoker.InvokeSystemMessage(message)
	}
}

func (m *mailbox) note(message any) {
	inner := actor.UnwrapEnvelopeMessage(message)
	m.life.w.trace.step(m.life.w.now, m.lane.key, fmt.Sprintf("%T", inner), digest(inner))
}
