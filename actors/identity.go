package actors

import (
	"encoding/json"
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"
	"slices"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// identity is who a data directory belongs to. It is written once, last of
// all that founding makes: a directory without it was never in use.
type identity struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	Disk    string `json:"disk"`
	// Founders are the nodes that the metadata group began with; none when that
	// is this one alone.
	Founders []codec.NodeID `json:"founders,omitempty"`
	// Metadata is the replica of the metadata group of a node that joined later;
	// none of a founder.
	Metadata codec.ReplicaID `json:"metadata,omitempty"`
	// Check is the CRC-32C of the rest: another digit in an id would be another
	// broker's. Directories of before have none.
	Check string `json:"check,omitempty"`
}

// sum is what Check has to be.
func (id identity) sum() string {
	id.Check = ""
	p, err := json.Marshal(id)
	if err != nil {
		panic("actors: marshal an identity: " + err.Error())
	}
	return fmt.Sprintf("%08x", codec.CRC32C(p))
}

// joined says that the node came to a cluster that there was already.
func (id identity) joined() bool { return id.Metadata != 0 }

// founders are the first replicas of the metadata group; nobody who joined knows
// them.
func (id identity) founders() []cluster.Replica {
	if id.joined() {
		return nil
	}
	if len(id.Founders) == 0 {
		return []cluster.Replica{{ID: founder, Node: codec.NodeID(id.Node)}}
	}
	all := make([]cluster.Replica, len(id.Founders))
	for i, n := range id.Founders {
		all[i] = cluster.Replica{ID: founder + codec.ReplicaID(i), Node: n, Learner: i >= cluster.FoundingVoters(len(id.Founders))}
	}
	return all
}

// metadataReplica is the replica of the metadata group on this node.
func (id identity) metadataReplica() codec.ReplicaID {
	if id.joined() {
		return id.Metadata
	}
	for _, r := range id.founders() {
		if string(r.Node) == id.Node {
			return r.ID
		}
	}
	panic("actors: this node is not among the founders that it names")
}

const (
	identityName   = "node.json"
	identityFormat = 1
	// founder is the replica id of the first replica of the metadata group.
	founder codec.ReplicaID = 1
)

// replicaDir is where a replica of a group lies.
func replicaDir(data string, g codec.GroupID, r codec.ReplicaID) string {
	return filepath.Join(data, fmt.Sprintf("g%d-r%d", g, r))
}

// newborn is the hard state of one of the first replicas of a group, whose
// members those are; or of one that joins, which knows nobody, so that it can
// neither vote nor stand before a snapshot tells it who they are.
func newborn(g codec.GroupID, r codec.ReplicaID, members []cluster.Replica, joins bool) wal.Hard {
	if joins && !codec.Mutant("joins-as-founder") {
		return wal.Hard{Group: g, Replica: r}
	}
	var voters, learners []codec.ReplicaID
	for _, m := range members {
		if m.Learner {
			learners = append(learners, m.ID)
			continue
		}
		voters = append(voters, m.ID)
	}
	index, term, conf := replica.Bootstrap(voters, learners...)
	return wal.Hard{
		Group: g, Replica: r, Term: term, Commit: index, Durable: index,
		Before: index, BeforeTerm: term, Conf: conf, ConfAsOf: index,
	}
}

// settle finds out who the data directory belongs to, or makes an empty one that of
// a founder or of a node that joins. It waits for the disk.
func settle(fs wal.FS, cfg Config, uuid, disk codec.UUID) (identity, error) {
	if cfg.Disk != (codec.UUID{}) {
		disk = cfg.Disk
	}
	id, err := readIdentity(fs, cfg.Dir)
	if errors.Is(err, iofs.ErrNotExist) {
		if cfg.Member {
			return id, fmt.Errorf("data directory %s is empty, and node %q belongs to a cluster: restore its directory, or start it as a new node with another name", cfg.Dir, cfg.Node)
		}
		if err := wal.Sweep(fs, cfg.Dir); err != nil {
			return id, err
		}
		return found(fs, cfg, uuid, disk)
	}
	if err != nil {
		return id, err
	}
	if cfg.Node != "" && string(cfg.Node) != id.Node {
		return id, fmt.Errorf("data directory %s belongs to node %q, not %q: start with that name, or with another directory", cfg.Dir, id.Node, cfg.Node)
	}
	if cfg.Disk != (codec.UUID{}) && cfg.Disk.String() != id.Disk {
		return id, fmt.Errorf("data directory %s has the id %s, not %s: start with the directory that was asked for", cfg.Dir, id.Disk, cfg.Disk)
	}
	// Whose it is is known: before, nothing is written.
	if err := wal.Sweep(fs, cfg.Dir); err != nil {
		return id, err
	}
	dir := replicaDir(cfg.Dir, codec.MetadataGroup, id.metadataReplica())
	there, err := wal.Exists(fs, dir)
	if err == nil && !there {
		err = fmt.Errorf("data directory %s has lost its metadata (%s is missing): restore it, or start with an empty directory", cfg.Dir, dir)
	}
	return id, err
}

// found makes the node's replica of the metadata, then the identity. A crash between
// the two leaves a replica that nobody was told of. It is made anew: it may be of
// another beginning, with other members.
func found(fs wal.FS, cfg Config, uuid, disk codec.UUID) (identity, error) {
	node := cfg.Node
	if node == "" {
		node = cfg.NodeDefault
	}
	id := identity{Format: identityFormat, Cluster: uuid.String(), Node: string(node), Disk: disk.String()}
	if j := cfg.Joining; j != nil {
		if j.Replica <= 0 {
			return id, fmt.Errorf("join a cluster: node %q was given no replica of its metadata", node)
		}
		id.Cluster, id.Metadata = j.Cluster.String(), j.Replica
	} else if f := cfg.Founding; f != nil {
		id.Cluster, id.Founders = f.Cluster.String(), f.Nodes
		if !slices.Contains(f.Nodes, node) {
			return id, fmt.Errorf("found a cluster: node %q is not among its founders %v", node, f.Nodes)
		}
	}
	me := id.metadataReplica()
	dir := replicaDir(cfg.Dir, codec.MetadataGroup, me)
	if err := clearUnused(fs, cfg.Dir); err != nil {
		return id, err
	}
	if err := wal.Create(fs, dir, newborn(codec.MetadataGroup, me, id.founders(), id.joined())); err != nil {
		return id, fmt.Errorf("found a cluster: %w", err)
	}
	id.Check = id.sum()
	p, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return id, fmt.Errorf("found a cluster: %w", err)
	}
	if err := wal.WriteFile(fs, filepath.Join(cfg.Dir, identityName), append(p, '\n')); err != nil {
		return id, fmt.Errorf("found a cluster: %w", err)
	}
	return id, nil
}

// clearUnused removes replicas of the metadata that no broker has ever used. One that
// was used belongs to an identity that is lost.
func clearUnused(fs wal.FS, data string) error {
	list, err := fs.ReadDir(data)
	if err != nil {
		return fmt.Errorf("found a cluster: %w", err)
	}
	for _, e := range list {
		var r codec.ReplicaID
		name := fmt.Sprintf("g%d-r", codec.MetadataGroup)
		if n, _ := fmt.Sscanf(e.Name, name+"%d", &r); n != 1 || e.Name != fmt.Sprintf("%s%d", name, r) {
			continue
		}
		dir := filepath.Join(data, e.Name)
		report, err := wal.Inspect(fs, dir, nil)
		if err == nil && (report.Entries > 0 || report.Hard.Vote != 0 || report.Snapshot != 0) {
			err = fmt.Errorf("it was in use, and %s is missing: restore that file, it names the node and its cluster", identityName)
		}
		if err != nil {
			return fmt.Errorf("data directory %s has the metadata of a broker in %s: %w", data, e.Name, err)
		}
		if err := wal.Delete(fs, dir); err != nil {
			return fmt.Errorf("found a cluster: %w", err)
		}
	}
	return nil
}

func readIdentity(fs wal.FS, dir string) (id identity, err error) {
	name := filepath.Join(dir, identityName)
	p, err := wal.ReadFile(fs, name)
	if err != nil {
		return id, fmt.Errorf("read %s: %w", name, err)
	}
	if err := json.Unmarshal(p, &id); err != nil {
		return id, fmt.Errorf("read %s: %w: restore the file, it names the node and its cluster", name, err)
	}
	if id.Check != "" && id.Check != id.sum() {
		return id, fmt.Errorf("read %s: damaged, its checksum is %s and should be %s: restore the file, it names the node and its cluster", name, id.Check, id.sum())
	}
	if id.Format != identityFormat {
		return id, fmt.Errorf("read %s: format %d, this program knows %d", name, id.Format, identityFormat)
	}
	if _, err := codec.ParseUUID(id.Cluster); err != nil || id.Node == "" {
		return id, fmt.Errorf("read %s: it names no cluster or no node: restore the file", name)
	}
	if _, err := codec.ParseUUID(id.Disk); err != nil || len(id.Founders) > 0 && !slices.Contains(id.Founders, codec.NodeID(id.Node)) {
		return id, fmt.Errorf("read %s: it names no disk, or founders of whom this node is none: restore the file", name)
	}
	return id, nil
}
