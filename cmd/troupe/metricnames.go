package main

// family is one metric of /metrics, whatever its labels: its name without
// troupe_, its type, what it says, and its labels.
type family struct {
	name   string
	kind   string
	help   string
	labels []string
}

const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
)

// families are all of ours, in the order of docs/OPERATIONS.md, which has this
// table too. A topic is the finest label, but for what --metrics-partitions
// adds.
var families = []family{
	{"build_info", gauge, "Always 1; the labels say what this binary was made of.", []string{"version", "commit", "go"}},
	{"broker_info", gauge, "Always 1; the labels say which broker of which cluster this is.", []string{"node", "cluster"}},
	{"broker_uptime_seconds", gauge, "Seconds since the broker was started.", nil},
	{"broker_ready", gauge, "1 when /readyz says ready, else 0.", nil},

	{"topic_produced_records_total", counter, "Records that were committed here.", []string{"topic"}},
	{"topic_produced_bytes_total", counter, "Bytes of batches that were committed here, as they lie on the disk.", []string{"topic"}},
	{"topic_produced_batches_total", counter, "Batches that were committed here.", []string{"topic"}},
	{"topic_fetched_records_total", counter, "Records that readers were given.", []string{"topic"}},
	{"topic_fetched_bytes_total", counter, "Bytes of batches that readers were given, as they lie on the disk.", []string{"topic"}},
	{"topic_partitions", gauge, "Partitions of a topic.", []string{"topic"}},

	{"partition_leaders", gauge, "Partitions whose leader is this broker, those of topics only.", nil},
	{"partition_under_replicated", gauge, "Partitions with fewer replicas in sync than they should have.", nil},
	{"partition_offline", gauge, "Partitions without a leader: nothing can be written to them.", nil},
	{"partition_refusing", gauge, "Replicas here that take no records, by the code that producers are answered.", []string{"code"}},
	{"partition_quarantined", gauge, "Replicas here that are quarantined because a file of theirs is damaged, the metadata's included.", nil},
	{"raft_leader_changes_total", counter, "Times that a replica here became the leader of its group, starts included.", nil},

	{"log_size_bytes", gauge, "Bytes of batches on the disk.", []string{"topic"}},
	{"log_written_bytes_total", counter, "Bytes handed to the operating system. Divided by fsyncs: bytes per fsync.", nil},
	{"log_fsync_duration_seconds", histogram, "How long fsyncs of files took; their number is its count.", nil},
	{"log_fsync_failures_total", counter, "Fsyncs that failed. Each ends a replica until the broker is started again.", nil},
	{"log_recovery_cuts_total", counter, "Logs whose last group did not hold at the start and was cut: torn by a crash, or the one case of damage that cannot be told from it.", nil},
	{"log_recovery_cut_entries_total", counter, "Entries that were cut so.", nil},
	{"disk_free_bytes", gauge, "Bytes free on the file system of the data directory.", nil},
	{"disk_reserve_bytes", gauge, "With less free, records are refused with DISK_FULL.", nil},
	{"disk_refusing", gauge, "1 while less than the reserve is free, else 0.", nil},

	{"credit_used_bytes", gauge, "Bytes of batches that were let in and are not answered.", nil},
	{"credit_limit_bytes", gauge, "At so many, producers wait.", nil},
	{"credit_waiting", gauge, "Producers that wait for credit now.", nil},
	{"credit_waits_total", counter, "Producers that had to wait for credit.", nil},
	{"credit_refusals_total", counter, "Producers that waited for credit in vain and were refused.", nil},
	{"credit_wait_seconds_total", counter, "How long producers waited for credit, all together.", nil},

	{"actor_mailbox_messages", gauge, "Messages that wait in the mailboxes of partitions and of the keeper.", nil},
	{"actor_mailbox_messages_max", gauge, "Messages that wait in the fullest of these mailboxes.", nil},
	{"actor_restarts_total", counter, "Actors that panicked and were restarted from disk. Each is a bug.", nil},

	{"gateway_connections", gauge, "Clients that are connected.", nil},
	{"gateway_connections_total", counter, "Connections that were let in.", nil},
	{"gateway_connections_refused_total", counter, "Connections that were not, by the code they were told.", []string{"code"}},
	{"gateway_connections_closed_total", counter, "Connections that ended, by the code they were told, or: client (it hung up), network, slow (it did not take its answers), cut.", []string{"reason"}},
	{"gateway_received_bytes_total", counter, "Bytes of frames that came from clients.", nil},
	{"gateway_sent_bytes_total", counter, "Bytes of frames that were sent to clients.", nil},
	{"gateway_pushes_total", counter, "Pushes of records to subscriptions.", nil},
	{"gateway_requests_in_flight", gauge, "Requests without an answer, on all connections.", nil},
	{"gateway_request_held_bytes", gauge, "Bytes of them, bounded by the limit bytes_in_flight_all.", nil},
	{"gateway_answer_held_bytes", gauge, "Bytes of large answers that are being made or sent, bounded by the limit answer_bytes.", nil},
	{"gateway_subscriptions", gauge, "Open subscriptions.", nil},
	{"gateway_subscription_credit_bytes", gauge, "Bytes that subscribers are ready to take.", nil},
	{"gateway_limit", gauge, "Each limit at the door: connections, requests, bytes or seconds.", []string{"limit"}},
	{"gateway_limit_hits_total", counter, "How often each limit was met.", []string{"limit"}},
	{"gateway_throttles_total", counter, "How often a connection waited for the bytes that all share, by their limit.", []string{"limit"}},
	{"gateway_throttle_seconds_total", counter, "How long connections waited for them, all together.", []string{"limit"}},
	{"requests_total", counter, "Requests, by operation.", []string{"api"}},
	{"request_errors_total", counter, "Requests that were refused, by operation and code.", []string{"api", "code"}},
	{"request_duration_seconds", histogram, "From a request's arrival until its answer had left. A fetch waits at the tail of a log, as long as its client said.", []string{"api"}},

	{"logged_messages_total", counter, "Messages in the broker's log.", []string{"level"}},
	{"logged_messages_suppressed_total", counter, "Messages that were left out of the broker's log because they came over and over.", nil},

	{"partition_produced_records_total", counter, "With --metrics-partitions: records that were committed here.", []string{"topic", "partition"}},
	{"partition_fetched_records_total", counter, "With --metrics-partitions: records that readers were given.", []string{"topic", "partition"}},
	{"partition_log_size_bytes", gauge, "With --metrics-partitions: bytes of batches on the disk.", []string{"topic", "partition"}},
	{"partition_mailbox_messages", gauge, "With --metrics-partitions: messages that wait in its mailbox.", []string{"topic", "partition"}},
}
