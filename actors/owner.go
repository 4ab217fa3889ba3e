package actors

import (
	"errors"
	"fmt"
	iofs "io/fs"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// Owner is who a data directory belongs to.
type Owner struct {
	Cluster codec.UUID
	Node    codec.NodeID
	Disk    codec.UUID
}

// OwnerOf reads who a data directory belongs to, which may be in use; nil when
// that is nobody yet.
func OwnerOf(fs wal.FS, dir string) (*Owner, error) {
	id, err := readIdentity(fs, dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := &Owner{Node: codec.NodeID(id.Node)}
	if o.Cluster, err = codec.ParseUUID(id.Cluster); err == nil {
		o.Disk, err = codec.ParseUUID(id.Disk)
	}
	if err != nil {
		return nil, fmt.Errorf("whose data directory is %s: %w", dir, err)
	}
	return o, nil
}
