package actors

import (
	"fmt"
	"math"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-mq/troupe/codec"
)

// heard is a message of consensus that came for a replica here, with what its
// entries describe.
type heard struct {
	node     codec.NodeID // that it came from
	from     codec.ReplicaID
	to       codec.ReplicaID
	raft     *raftpb.Message
	payloads []payload
}

// payload are the batches of one entry.
type payload struct {
	index codec.Index
	term  codec.Term
	bytes int64
	list  []codec.Batch
}

// hear sorts a letter. Checking batches against their descriptors is done here,
// outside of any actor's turn.
func (b *Broker) hear(from codec.NodeID, p []byte) error {
	kind, cluster, err := codec.KindOfLetter(p)
	if err != nil {
		return err
	}
	who := b.who.Load()
	if who == nil {
		return nil // not settled yet: the sender will say it again
	}
	if mine := who.Cluster; cluster.String() != mine {
		return fmt.Errorf("it is of cluster %s, this is %s", cluster, mine)
	}
	switch kind {
	case codec.LetterRaft:
		return b.hearRaft(from, p)
	case codec.LetterBeats:
		return b.hearBeats(from, p)
	case codec.LetterAsk:
		ask, err := codec.ParseAsk(p)
		if err == nil {
			b.house.send(b.house.courier, &asked{from, ask})
		}
		return err
	case codec.LetterAnswer:
		answer, err := codec.ParseAskAnswer(p)
		if err == nil {
			b.house.send(b.house.courier, answer)
		}
		return err
	}
	if b.house.link != nil {
		return b.hearForwarded(kind, from, p)
	}
	return fmt.Errorf("letter of kind %d: this program knows none", kind)
}

// hearForwarded sorts what has to do with requests for another broker than the one that
// was asked. A batch is verified here, outside of any actor's turn.
func (b *Broker) hearForwarded(kind codec.LetterKind, from codec.NodeID, p []byte) (err error) {
	to, m := b.house.ferry, any(nil)
	switch kind {
	case codec.LetterLeads:
		var l *codec.Leads
		l, err = codec.ParseLeads(p)
		to, m = b.house.herald, &toldLeads{from, l}
	case codec.LetterParcel:
		var l *codec.Parcel
		if l, err = codec.ParseParcel(p); err == nil {
			err = l.Batch.Verify(codec.FrameMax)
		}
		m = &arrived{from, l}
	case codec.LetterReceipt:
		m, err = codec.ParseReceipt(p)
	case codec.LetterLook:
		var l *codec.Look
		l, err = codec.ParseLook(p)
		m = &lookedAt{from, l}
	case codec.LetterSight:
		m, err = codec.ParseSight(p)
	default:
		err = fmt.Errorf("letter of kind %d: this program knows none", kind)
	}
	if err == nil {
		b.house.send(to, m)
	}
	return err
}

func (b *Broker) hearRaft(from codec.NodeID, p []byte) error {
	l, err := codec.ParseRaftLetter(p)
	if err != nil {
		return err
	}
	if below, why := b.strangeDisk(from, l.Disk); l.From < below {
		return why
	}
	h := b.table.Load().groups[l.Group]
	if h == nil {
		return nil // not kept here, or not yet
	}
	m := &heard{node: from, from: l.From, to: l.To, raft: &raftpb.Message{}}
	if err := proto.Unmarshal(l.Raft, m.raft); err != nil {
		return fmt.Errorf("message for group %d: %w", l.Group, err)
	}
	if m.payloads, err = match(m.raft, l.Payloads); err != nil {
		return fmt.Errorf("message for group %d: %w", l.Group, err)
	}
	h.tell(m, func(error) {})
	return nil
}

// strangeDisk says why nothing is heard that a broker says for its replicas below an id; 0
// for none. Another disk than the one that it is registered with has forgotten what it
// promised there, and one of a node that was removed says nothing at all. To ask for its
// registration it may. A replica that was made since the metadata that are known here has
// promised nothing there: then another broker has come under that name, which may be all
// that there is to hear of.
func (b *Broker) strangeDisk(from codec.NodeID, disk codec.UUID) (below codec.ReplicaID, why error) {
	s := b.published.Load()
	if s == nil {
		return 0, nil
	}
	if err := s.Disowned(disk); err != nil {
		return math.MaxUint64, err
	}
	if known := s.Nodes[from].Disk; known != (codec.UUID{}) && known != disk {
		return s.NextReplica, fmt.Errorf("it is of disk %s, and node %q is registered with %s", disk, from, known)
	}
	return 0, nil
}

// match gives each entry that describes batches its own, having checked that
// they are what it says.
func match(m *raftpb.Message, batches []codec.Batch) (all []payload, err error) {
	for _, e := range m.GetEntries() {
		run, ok, err := batchesOf(e)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if run.Len() > len(batches) {
			return nil, fmt.Errorf("entry %d describes %d batches, %d are left", e.GetIndex(), run.Len(), len(batches))
		}
		one := payload{index: codec.Index(e.GetIndex()), term: codec.Term(e.GetTerm()), bytes: int64(run.Bytes()), list: batches[:run.Len():run.Len()]}
		epoch, _ := codec.EpochOf(one.term)
		for i, b := range one.list {
			if codec.Mutant("payload-not-checked") {
				break
			}
			if err := run.At(i).Matches(b, epoch); err != nil {
				return nil, fmt.Errorf("entry %d: %w", e.GetIndex(), err)
			}
		}
		all, batches = append(all, one), batches[run.Len():]
	}
	if len(batches) > 0 {
		return nil, fmt.Errorf("%d batches that no entry describes", len(batches))
	}
	return all, nil
}

// batchesOf are the descriptors of an entry, when it has some.
func batchesOf(e *raftpb.Entry) (run codec.Run, ok bool, err error) {
	if e.GetType() != raftpb.EntryNormal {
		return nil, false, nil
	}
	return codec.ParseBatchEntry(e.GetData())
}
