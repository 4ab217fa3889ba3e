package actors

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// Stats are what a broker has done since it was started, and what it holds
// now. Counts only grow, but those of a partition go with it when its topic
// is deleted.
type Stats struct {
	Partitions []PartitionStats // of all topics, by topic and number
	Metadata   PartitionStats   // the metadata's own group; its name is no topic's

	LeaderChanges int64 // times that a replica here became leader of its group
	Restarts      int64 // actors that panicked and were restarted from disk
	Cuts          int64 // logs whose last group did not hold when they were opened
	CutEntries    int64 // entries of those groups, cut away

	DiskFree     int64 // bytes; -1 when it was not measured yet
	DiskReserve  int64 // bytes: with less free, records are refused
	DiskRefusing bool  // they are

	Credit CreditStats
	Disk   DiskStats
	Mail   int // messages in the mailbox of the keeper, the root actor
}

// PartitionStats are those of one partition.
type PartitionStats struct {
	Name     codec.TopicPartition
	Leads    bool       // the replica here leads and serves
	Trouble  codec.Code // why it takes no records, OK when it does
	Replicas int        // as many as there should be
	InSync   int        // replicas that hold what is committed
	Bytes    int64      // of its batches on the disk
	Mail     int        // messages in its mailbox
	Produced Volume     // committed here since the start
	Fetched  Volume     // read here since the start
}

// Volume is an amount of records. Bytes are those of whole batches, packed as
// they are.
type Volume struct{ Batches, Records, Bytes int64 }

// CreditStats are those of the byte credit that producers take.
type CreditStats struct {
	Free, Max int64         // bytes
	Waiting   int           // producers that wait for some now
	Waits     int64         // producers that had to wait
	Refused   int64         // of those, the ones whose time was over first
	Waited    time.Duration // by all of them together
}

// tallied counts a Volume.
type tallied struct{ batches, records, bytes atomic.Int64 }

func (t *tallied) add(records, bytes int64) {
	t.batches.Add(1)
	t.records.Add(records)
	t.bytes.Add(bytes)
}

func (t *tallied) volume() Volume {
	return Volume{t.batches.Load(), t.records.Load(), t.bytes.Load()}
}

// tallies are a broker's counters.
type tallies struct {
	leaderChanges, restarts, cuts, cutEntries                      atomic.Int64
	lettersRefused, snapshotsSent, snapshotsInstalled, suffixesCut atomic.Int64
	diskFree                                                       atomic.Int64 // and 1, so that 0 is not known
	disk                                                           *diskTally   // nil in a simulation
}

// readBatches counts what a reader got who asked for the records from offset
// on; it may begin in the middle of a batch.
func (h *Handle) readBatches(read []byte, offset codec.Offset) {
	for len(read) > 0 {
		b, rest, err := codec.NextBatch(read)
		if err != nil {
			return // only whole batches are counted
		}
		skipped := max(0, offset-b.BaseOffset())
		h.fetched.add(max(0, int64(b.Count())-int64(skipped)), int64(len(b)))
		read = rest
	}
}

// mailbox is an option for the partition's actor whose mailbox can be looked
// into.
func (h *Handle) mailbox() actor.PropsOption { return watched(&h.mail) }

// watched makes a mailbox that can be found at at.
func watched(at *atomic.Pointer[actor.Mailbox]) actor.PropsOption {
	return actor.WithMailbox(func() actor.Mailbox {
		m := actor.Unbounded()()
		at.Store(&m)
		return m
	})
}

func depth(at *atomic.Pointer[actor.Mailbox]) int {
	if m := at.Load(); m != nil {
		return max(0, (*m).UserMessageCount())
	}
	return 0
}

// Stats asks no actor; its parts are each of their own moment.
func (b *Broker) Stats() Stats {
	t := &b.house.tallies
	s := Stats{
		Metadata:      b.meta.stats(),
		LeaderChanges: t.leaderChanges.Load(), Restarts: t.restarts.Load(), Cuts: t.cuts.Load(), CutEntries: t.cutEntries.Load(),
		DiskFree: t.diskFree.Load() - 1, DiskReserve: b.house.reserve, DiskRefusing: b.house.short.Load(),
		Credit: b.house.credit.stats(), Mail: depth(&b.house.mail),
	}
	if t.disk != nil {
		s.Disk = t.disk.stats()
	}
	if state := b.published.Load(); state != nil {
		parts := b.table.Load().parts
		for name, topic := range state.Topics {
			for i, p := range topic.Partitions {
				tp := codec.TopicPartition{Topic: name, Partition: codec.Partition(i)}
				one := PartitionStats{Name: tp, Trouble: codec.Unavailable}
				if h := parts[tp]; h != nil {
					one = h.stats()
				}
				one.Replicas = len(p.Staying())
				s.Partitions = append(s.Partitions, one)
			}
		}
	}
	slices.SortFunc(s.Partitions, func(x, y PartitionStats) int {
		return cmp.Or(cmp.Compare(x.Name.Topic, y.Name.Topic), cmp.Compare(x.Name.Partition, y.Name.Partition))
	})
	return s
}

func (h *Handle) stats() PartitionStats {
	p := PartitionStats{Name: h.tp, Replicas: 1, Mail: depth(&h.mail), Produced: h.produced.volume(), Fetched: h.fetched.volume()}
	if all := h.members.Load(); all != nil && len(all.list) > 0 {
		p.Replicas = len(cluster.Partition{Replicas: all.list}.Staying())
	}
	s := h.state.Load()
	if s.write != nil {
		p.Trouble = s.write.Code
	}
	if s.sick != codec.OK {
		p.Trouble = s.sick
	}
	if p.Leads = s.leader; p.Leads {
		p.InSync = 1 // it is in sync with itself
		if all := h.inSync.Load(); all != nil {
			p.InSync = len(*all)
		}
	}
	if v := h.view.Load(); v != nil {
		p.Bytes = v.Bytes()
	}
	return p
}
