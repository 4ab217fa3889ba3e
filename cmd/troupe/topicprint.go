package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/troupe-mq/troupe/codec"
)

// describedTopic is a topic as JSON shows it.
type describedTopic struct {
	Topic      codec.Topic          `json:"topic"`
	ID         string               `json:"id"`
	Settings   map[string]string    `json:"settings"`
	Partitions []describedPartition `json:"partitions"`
}

type describedPartition struct {
	Partition     codec.Partition `json:"partition"`
	Leader        codec.NodeID    `json:"leader"`
	Replicas      []codec.NodeID  `json:"replicas"`
	InSync        []codec.NodeID  `json:"in_sync"`
	Epoch         codec.Epoch     `json:"epoch"`
	Start         codec.Offset    `json:"start"`
	HighWatermark codec.Offset    `json:"high_watermark"`
	Bytes         int64           `json:"bytes"`
}

// trimmed is what `topic trim` did, as JSON shows it.
type trimmed struct {
	Topic      codec.Topic        `json:"topic"`
	Partitions []trimmedPartition `json:"partitions"`
}

type trimmedPartition struct {
	Partition codec.Partition `json:"partition"`
	Start     codec.Offset    `json:"start"`
}

func forJSON(d codec.TopicDescription) describedTopic {
	t := describedTopic{Topic: d.Topic, ID: d.ID.String(), Settings: map[string]string{}, Partitions: []describedPartition{}}
	maps.Copy(t.Settings, d.Settings)
	for _, p := range d.Partitions {
		t.Partitions = append(t.Partitions, describedPartition{
			Partition: p.Partition, Leader: p.Leader, Replicas: append([]codec.NodeID{}, p.Replicas...), InSync: append([]codec.NodeID{}, p.InSync...),
			Epoch: p.Epoch, Start: p.Start, HighWatermark: p.HighWatermark, Bytes: p.Bytes,
		})
	}
	return t
}

// columns writes rows of cells, aligned.
func columns(to io.Writer, rows ...[]any) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

func printTopic(to io.Writer, output string, d codec.TopicDescription) error {
	if output == "json" {
		return json.NewEncoder(to).Encode(forJSON(d))
	}
	about := [][]any{{"topic", d.Topic}, {"id", d.ID}}
	for _, name := range slices.Sorted(maps.Keys(d.Settings)) {
		value := d.Settings[name]
		if name == "durability" && value == "os" {
			value = "os (acknowledged from the page cache: survives kill -9, not a power cut)"
		}
		about = append(about, []any{name, value})
	}
	if err := columns(to, append(about, []any{})...); err != nil {
		return err
	}
	rows := [][]any{{"PARTITION", "LEADER", "REPLICAS", "IN SYNC", "EPOCH", "START", "HIGH WATERMARK", "BYTES"}}
	for _, p := range d.Partitions {
		rows = append(rows, []any{p.Partition, orNone(string(p.Leader)), nodes(p.Replicas), nodes(p.InSync), p.Epoch, p.Start, p.HighWatermark, p.Bytes})
	}
	return columns(to, rows...)
}

func nodes(all []codec.NodeID) string {
	names := make([]string, len(all))
	for i, n := range all {
		names[i] = string(n)
	}
	return orNone(strings.Join(names, ","))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func printTopics(to io.Writer, output string, all []codec.TopicDescription) error {
	enc := json.NewEncoder(to)
	rows := [][]any{{"TOPIC", "PARTITIONS", "REPLICAS", "RECORDS", "BYTES"}}
	for _, d := range all {
		if output == "json" {
			if err := enc.Encode(forJSON(d)); err != nil {
				return err
			}
			continue
		}
		var records, bytes int64
		replicas := 0
		for _, p := range d.Partitions {
			records, bytes, replicas = records+int64(p.HighWatermark-p.Start), bytes+p.Bytes, max(replicas, len(p.Replicas))
		}
		rows = append(rows, []any{d.Topic, len(d.Partitions), replicas, records, bytes})
	}
	if output == "json" {
		return nil
	}
	return columns(to, rows...)
}

// printChanged says what became of a topic.
func printChanged(to io.Writer, output, what string, d codec.TopicDescription) error {
	if output == "json" {
		return printTopic(to, output, d)
	}
	replicas := 0
	for _, p := range d.Partitions {
		replicas = max(replicas, len(p.Replicas))
	}
	_, err := fmt.Fprintf(to, "%s %s: %s, %s\n", what, d.Topic, count(int64(len(d.Partitions)), "partition"), count(int64(replicas), "replica"))
	return err
}

func printTrimmed(to io.Writer, output string, t trimmed) error {
	if output == "json" {
		return json.NewEncoder(to).Encode(t)
	}
	rows := [][]any{{"PARTITION", "START"}}
	for _, p := range t.Partitions {
		rows = append(rows, []any{p.Partition, p.Start})
	}
	return columns(to, rows...)
}

func printDeleted(to io.Writer, output string, topic codec.Topic) error {
	if output == "json" {
		return json.NewEncoder(to).Encode(map[string]codec.Topic{"deleted": topic})
	}
	_, err := fmt.Fprintln(to, "deleted", topic)
	return err
}

// count is "1 record", "1,200 records".
func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return grouped(n) + " " + what + "s"
}

// grouped is n with commas between its thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
