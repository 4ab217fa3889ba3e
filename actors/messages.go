package actors

import (
	"container/list"
	"time"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// Produce asks a partition to append a batch. A Handle makes it, having taken
// credit; one that was made otherwise is refused. It is sent once.
type Produce struct {
	batch codec.Batch
	reply func(codec.Produced, error)
	paid  *credit
	of    *Handle // that it was let in by; nil for one of another broker
}

// answer gives the credit back and replies, once.
func (m *Produce) answer(p codec.Produced, err error) {
	if m.reply == nil {
		return // answered before: the disk was too slow
	}
	reply := m.reply
	m.reply = nil
	m.paid.give(int64(len(m.batch)))
	if m.of != nil {
		m.of.here.Add(-1)
	}
	m.batch = nil
	reply(p, err)
	if codec.Mutant("answered-twice") {
		reply(p, err)
	}
}

func (m *Produce) refuse(err error) {
	if m.paid == nil {
		if m.reply != nil {
			m.reply(codec.Produced{}, err)
		}
		return
	}
	m.answer(codec.Produced{}, err)
}

// propose asks a partition to append an entry that is no batch.
type propose struct {
	data  []byte
	reply func(result any, err error)
}

func (m *propose) answer(result any, err error) {
	if m.reply == nil {
		return
	}
	reply := m.reply
	m.reply = nil
	reply(result, err)
}

func (m *propose) refuse(err error) { m.answer(nil, err) }

// request is what a partition has to answer.
type request interface{ refuse(err error) }

// trim asks a partition to move its start.
type trim struct {
	before codec.Offset
	reply  func(start codec.Offset, err error)
}

func (m *trim) refuse(err error) { m.reply(0, err) }

// await asks to be told when the watermark passes offset, or at the deadline.
type await struct {
	offset codec.Offset
	wait   time.Duration
	done   func()
	cancel func() // of the deadline's timer
	place  *list.Element
}

func (m *await) refuse(error) { m.done() }

// The rest never leaves a partition and its ports. life tells the answers to
// one opening of the log from those to the one before.
type (
	// flush stands behind every produce that was waiting with the one that
	// sent it.
	flush struct{}

	opened struct {
		life  int
		found *wal.Opened
		table *replica.Producers
		known codec.Index   // what table knows of
		confs []codec.Index // committed entries that change the configuration
		start codec.Offset
		opts  wal.Options // that it was opened with
		err   error
	}

	persisted struct {
		life   int
		append *replica.Append
		write  *wal.Write
		err    error
	}

	// stepDone answers a job of the disk that only may fail.
	stepDone struct {
		life int
		what string
		err  error
		then func()
	}

	deadline  struct{ of *await }
	forget    struct{ of *await }
	damaged   struct{ err error }
	housework struct{ born int }
	tick      struct{ steps int }
	retry     struct{ life int }

	room struct {
		life int
		free int64
		err  error
	}

	// configure brings new settings of the topic, and the members of the group.
	configure struct {
		settings settings
		members  *members // nil for those that there are
	}

	// installed says that a snapshot has taken the log's place.
	installed struct {
		life   int
		append *replica.Append
		index  *wal.Index
		err    error
	}

	// closing asks to rest and to let the log go; done is called then.
	closing struct{ done func() }

	// closeNow says that whoever closes has waited long enough.
	closeNow struct{ of *closing }

	// burying asks for the same, and the removal of the directory unless that is
	// to be kept. Whoever comes later is told why.
	burying struct {
		keep bool
		why  *codec.Error
		done func(error)
	}
)

// settings are what a partition needs of its topic's.
type settings struct {
	segmentBytes    int64
	messageBytesMax int
	noSync          bool
	retentionTime   codec.Millis // 0 is for ever
	retentionBytes  int64        // 0 is any number
}
