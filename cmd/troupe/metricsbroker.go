package main

import (
	"fmt"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// broker shows what the broker and its logs have counted.
func (s scrape) broker(b actors.Stats) {
	s.topics(b.Partitions)
	s.states(b)
	s.put("raft_leader_changes_total", float64(b.LeaderChanges))
	s.put("log_written_bytes_total", float64(b.Disk.Written))
	if len(b.Disk.Fsyncs.Counts) > 0 {
		s.observed("log_fsync_duration_seconds", b.Disk.Fsyncs.Bounds, b.Disk.Fsyncs.Counts, b.Disk.Fsyncs.Sum)
	}
	s.put("log_fsync_failures_total", float64(b.Disk.FsyncsFailed))
	s.put("log_recovery_cuts_total", float64(b.Cuts))
	s.put("log_recovery_cut_entries_total", float64(b.CutEntries))
	if b.DiskFree >= 0 {
		s.put("disk_free_bytes", float64(b.DiskFree))
	}
	s.put("disk_reserve_bytes", float64(b.DiskReserve))
	s.put("disk_refusing", truth(b.DiskRefusing))
	s.put("credit_used_bytes", float64(b.Credit.Max-b.Credit.Free))
	s.put("credit_limit_bytes", float64(b.Credit.Max))
	s.put("credit_waiting", float64(b.Credit.Waiting))
	s.put("credit_waits_total", float64(b.Credit.Waits))
	s.put("credit_refusals_total", float64(b.Credit.Refused))
	s.put("credit_wait_seconds_total", b.Credit.Waited.Seconds())
	s.mailboxes(b)
	s.put("actor_restarts_total", float64(b.Restarts))
}

// topics adds partitions, which come ordered by topic, up to their topics.
func (s scrape) topics(all []actors.PartitionStats) {
	for len(all) > 0 {
		name := all[0].Name.Topic
		var sum actors.PartitionStats
		n := 0
		for ; n < len(all) && all[n].Name.Topic == name; n++ {
			p := all[n]
			sum.Produced, sum.Fetched = plus(sum.Produced, p.Produced), plus(sum.Fetched, p.Fetched)
			sum.Bytes += p.Bytes
			if s.partitions {
				s.partition(p)
			}
		}
		topic := string(name)
		s.put("topic_partitions", float64(n), topic)
		s.put("topic_produced_records_total", float64(sum.Produced.Records), topic)
		s.put("topic_produced_bytes_total", float64(sum.Produced.Bytes), topic)
		s.put("topic_produced_batches_total", float64(sum.Produced.Batches), topic)
		s.put("topic_fetched_records_total", float64(sum.Fetched.Records), topic)
		s.put("topic_fetched_bytes_total", float64(sum.Fetched.Bytes), topic)
		s.put("log_size_bytes", float64(sum.Bytes), topic)
		all = all[n:]
	}
}

func plus(a, b actors.Volume) actors.Volume {
	return actors.Volume{Batches: a.Batches + b.Batches, Records: a.Records + b.Records, Bytes: a.Bytes + b.Bytes}
}

func (s scrape) partition(p actors.PartitionStats) {
	topic, number := string(p.Name.Topic), fmt.Sprint(p.Name.Partition)
	s.put("partition_produced_records_total", float64(p.Produced.Records), topic, number)
	s.put("partition_fetched_records_total", float64(p.Fetched.Records), topic, number)
	s.put("partition_log_size_bytes", float64(p.Bytes), topic, number)
	s.put("partition_mailbox_messages", float64(p.Mail), topic, number)
}

// troubles are the codes of replicas that take no records.
var troubles = []codec.Code{codec.Unavailable, codec.DiskFull, codec.Overloaded, codec.DiskFailed, codec.CorruptLog, codec.Stopping}

func (s scrape) states(b actors.Stats) {
	var leaders, under, offline, quarantined int
	refusing := map[codec.Code]int{}
	for _, p := range b.Partitions {
		switch {
		case p.Leads:
			leaders++
			if p.InSync < p.Replicas {
				under++
			}
		case p.Trouble != codec.NotLeader: // else it follows
			offline++
			under++
		}
		refusing[p.Trouble]++
	}
	quarantined = refusing[codec.CorruptLog]
	if b.Metadata.Trouble == codec.CorruptLog {
		quarantined++
	}
	s.put("partition_leaders", float64(leaders))
	s.put("partition_under_replicated", float64(under))
	s.put("partition_offline", float64(offline))
	s.put("partition_quarantined", float64(quarantined))
	for _, c := range troubles {
		s.put("partition_refusing", float64(refusing[c]), c.String())
	}
}

func (s scrape) mailboxes(b actors.Stats) {
	sum, fullest := 0, 0
	for _, n := range append([]int{b.Mail, b.Metadata.Mail}, mails(b.Partitions)...) {
		sum, fullest = sum+n, max(fullest, n)
	}
	s.put("actor_mailbox_messages", float64(sum))
	s.put("actor_mailbox_messages_max", float64(fullest))
}

func mails(all []actors.PartitionStats) []int {
	out := make([]int, len(all))
	for i, p := range all {
		out[i] = p.Mail
	}
	return out
}
