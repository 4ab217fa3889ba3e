package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

func newLogVerb(s streams) *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "Read a data directory offline, without changing it", Example: "  troupe log verify ./data", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newLogVerify(s), newLogDump(s))
	return c
}

// verified is the result of `log verify` for one replica.
type verified struct {
	Dir      string          `json:"dir"`
	Group    codec.GroupID   `json:"group"`
	Replica  codec.ReplicaID `json:"replica"`
	Entries  int             `json:"entries"`
	Batches  int             `json:"batches"`
	Records  int64           `json:"records"`
	Bytes    int64           `json:"bytes"`
	Start    codec.Offset    `json:"start"`
	Next     codec.Offset    `json:"next"`
	Torn     string          `json:"torn,omitempty"`
	Damage   string          `json:"damage,omitempty"`
	Snapshot codec.Index     `json:"snapshot,omitempty"`
	// Quarantined is what the broker found, and wrote down beside the log.
	Quarantined string `json:"quarantined,omitempty"`
}

func newLogVerify(s streams) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "verify DIR", Short: "Check every byte of a data directory, or of one replica in it",
		Long: `Check every entry and every batch against its checksum and its descriptor.
A torn end is what a crash leaves; the broker cuts it when it starts. Damage is
anything else: exit code 1.`,
		Example: "  troupe log verify ./data", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return verifyDirs(s, args[0], output) },
	}
	outputFlag(c, &output)
	c.ValidArgsFunction = directories
	return c
}

func verifyDirs(s streams, data, output string) error {
	dirs, err := replicaDirs(data)
	if err != nil {
		return err
	}
	damaged := 0
	for i, dir := range dirs {
		r, err := inspect(s, dir, fmt.Sprintf("log %d of %d", i+1, len(dirs)))
		if err != nil && !wal.IsCorrupt(err) {
			return err
		}
		v := verified{Dir: dir}
		if r != nil {
			v = verified{dir, r.Hard.Group, r.Hard.Replica, r.Entries, r.Batches, r.Records, r.Bytes, r.Hard.Start, r.Next, r.Torn, "", r.Snapshot, r.Quarantined}
		}
		if err != nil {
			v.Damage = err.Error()
		}
		if v.Damage != "" || v.Quarantined != "" {
			damaged++
		}
		if err := printVerified(s, v, output); err != nil {
			return err
		}
	}
	if damaged > 0 {
		return fmt.Errorf("%d of %d logs are damaged: keep a copy of the directory before anything else; the broker quarantines these replicas and serves the rest", damaged, len(dirs))
	}
	return nil
}

// inspect reads one log, and shows how far it is.
func inspect(s streams, dir, says string) (*wal.Report, error) {
	var read atomic.Int64
	defer s.watch(effort{bytes: true, done: read.Load, says: func() string { return says }})()
	return wal.Inspect(wal.OS{}, dir, func(i *wal.Inspection) error {
		read.Add(int64(i.Descriptor.Size))
		return nil
	})
}

func printVerified(s streams, v verified, output string) error {
	if output == "json" {
		return json.NewEncoder(s.out).Encode(v)
	}
	state := "ok"
	if v.Torn != "" {
		state = "ok, with a torn end: " + v.Torn
	}
	if v.Damage != "" {
		state = "DAMAGED: " + v.Damage
	}
	if v.Quarantined != "" {
		state += "; QUARANTINED: " + v.Quarantined
	}
	_, err := fmt.Fprintf(s.out, "%s: %d entries, %d batches, %d records, %d bytes, offsets [%d, %d): %s\n",
		v.Dir, v.Entries, v.Batches, v.Records, v.Bytes, v.Start, v.Next, state)
	return err
}

func replicaDirs(data string) ([]string, error) {
	dirs, err := wal.Dirs(wal.OS{}, data)
	if err != nil {
		return nil, err
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("%s holds no log: give the data directory of a broker, or of one replica in it", data)
	}
	return dirs, nil
}

// dumped is one entry as `log dump` shows it.
type dumped struct {
	Dir        string        `json:"dir"`
	Index      codec.Index   `json:"index"`
	Term       codec.Term    `json:"term"`
	Kind       string        `json:"kind"`
	Synced     codec.Index   `json:"synced"`
	Base       *codec.Offset `json:"base_offset,omitempty"`
	Count      int32         `json:"count,omitempty"`
	Size       int32         `json:"size,omitempty"`
	Segment    *codec.Offset `json:"segment,omitempty"`
	Position   *int64        `json:"position,omitempty"`
	AppendTime codec.Millis  `json:"append_time,omitempty"`
	Command    string        `json:"command,omitempty"`
	Start      *codec.Offset `json:"start,omitempty"`
	Damage     string        `json:"damage,omitempty"`
}

func newLogDump(s streams) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "dump DIR", Short: "Print every entry of a data directory, or of one replica in it, one JSON object a line",
		Example: "  troupe log dump ./data/g2-r2 | head", Args: cobra.ExactArgs(1), ValidArgsFunction: directories,
		RunE: func(_ *cobra.Command, args []string) error {
			if output != "json" {
				return usagef("-o %q: an entry is shown as json", output)
			}
			dirs, err := replicaDirs(args[0])
			if err != nil {
				return err
			}
			enc := json.NewEncoder(s.out)
			var damage error
			for _, dir := range dirs {
				_, err := wal.Inspect(wal.OS{}, dir, func(i *wal.Inspection) error { return enc.Encode(dump(dir, i)) })
				if err != nil && !wal.IsCorrupt(err) {
					return err
				}
				damage = errors.Join(damage, err)
			}
			return damage
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "json", "json, there is no other")
	complete(c, "output", words("json"))
	return c
}

func dump(dir string, i *wal.Inspection) dumped {
	d := dumped{Dir: dir, Index: i.Index, Term: i.Term, Kind: "configuration", Synced: i.Synced}
	if i.Damage != nil {
		d.Damage = i.Damage.Error()
	}
	if i.Type != 0 {
		return d
	}
	if len(i.Data) == 0 {
		d.Kind = "term"
		return d
	}
	switch codec.EntryKind(i.Data[0]) {
	case codec.EntryBatch:
		b := i.Descriptor
		d.Kind, d.Base, d.Count, d.Size, d.AppendTime = "batch", &b.BaseOffset, b.Count, b.Size, b.AppendTime
		d.Segment, d.Position = &i.Place.Segment, &i.Place.Position
	case codec.EntryStart:
		d.Kind = "start"
		if start, ok, err := codec.ParseStartEntry(i.Data); ok && err == nil {
			d.Start = &start
		}
	case codec.EntryCommand:
		d.Kind, d.Command = "command", string(i.Data[1:])
	default:
		d.Kind = fmt.Sprintf("unknown %d", i.Data[0])
	}
	return d
}
