package actors

import (
	"encoding/json"
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"

	"github.com/troupe-mq/troupe/actors/replica"
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

// newborn is the hard state of the first replica of a group of one.
func newborn(g codec.GroupID, r codec.ReplicaID) wal.Hard {
	index, term, conf := replica.Bootstrap([]codec.ReplicaID{r})
	return wal.Hard{
		Group: g, Replica: r, Term: term, Commit: index, Durable: index,
		Before: index, BeforeTerm: term, Conf: conf, ConfAsOf: index,
	}
}

// settle finds out who the data directory belongs to, or founds a cluster of
// one in an empty one. It waits for the disk.
func settle(fs wal.FS, cfg Config, cluster, disk codec.UUID) (identity, error) {
	if err := wal.Sweep(fs, cfg.Dir); err != nil {
		return identity{}, err
	}
	id, err := readIdentity(fs, cfg.Dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return found(fs, cfg, cluster, disk)
	}
	if err != nil {
		return id, err
	}
	if cfg.Node != "" && string(cfg.Node) != id.Node {
		return id, fmt.Errorf("data directory %s belongs to node %q, not %q: start with that name, or with another directory", cfg.Dir, id.Node, cfg.Node)
	}
	there, err := wal.Exists(fs, replicaDir(cfg.Dir, codec.MetadataGroup, founder))
	if err == nil && !there {
		err = fmt.Errorf("data directory %s has lost its metadata (%s is missing): restore it, or start with an empty directory", cfg.Dir, replicaDir(cfg.Dir, codec.MetadataGroup, founder))
	}
	return id, err
}

// found makes the metadata group of one, then the identity. A crash between
// the two leaves a group that nobody was told of; it is used again.
func found(fs wal.FS, cfg Config, cluster, disk codec.UUID) (identity, error) {
	node := cfg.Node
	if node == "" {
		node = cfg.NodeDefault
	}
	id := identity{Format: identityFormat, Cluster: cluster.String(), Node: string(node), Disk: disk.String()}
	dir := replicaDir(cfg.Dir, codec.MetadataGroup, founder)
	there, err := wal.Exists(fs, dir)
	if err != nil {
		return id, fmt.Errorf("found a cluster: %w", err)
	}
	if !there {
		if err := wal.Create(fs, dir, newborn(codec.MetadataGroup, founder)); err != nil {
			return id, fmt.Errorf("found a cluster: %w", err)
		}
	}
	p, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return id, fmt.Errorf("found a cluster: %w", err)
	}
	if err := wal.WriteFile(fs, filepath.Join(cfg.Dir, identityName), append(p, '\n')); err != nil {
		return id, fmt.Errorf("found a cluster: %w", err)
	}
	return id, nil
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
	if id.Format != identityFormat {
		return id, fmt.Errorf("read %s: format %d, this program knows %d", name, id.Format, identityFormat)
	}
	if _, err := codec.ParseUUID(id.Cluster); err != nil || id.Node == "" {
		return id, fmt.Errorf("read %s: it names no cluster or no node: restore the file", name)
	}
	return id, nil
}
