package found

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// Founder is a broker that a record names.
type Founder struct {
	Node codec.NodeID
	Disk codec.UUID
	Link string // where others reach it
}

// Record is what brokers agree on before one of them founds: the cluster's id, and
// who begins it.
type Record struct {
	Cluster codec.UUID
	// Founders are in order of names: the order of their replicas of the metadata.
	Founders []Founder
	// Listed are the addresses that all of them were told to join, sorted.
	Listed []string
}

// Names are those of the founders.
func (r Record) Names() (names []codec.NodeID) {
	for _, f := range r.Founders {
		names = append(names, f.Node)
	}
	return names
}

// Links are where the founders are reached.
func (r Record) Links() map[codec.NodeID]string {
	all := map[codec.NodeID]string{}
	for _, f := range r.Founders {
		all[f.Node] = f.Link
	}
	return all
}

// Equal says whether two records are the same.
func (r Record) Equal(o Record) bool {
	return r.Cluster == o.Cluster && slices.Equal(r.Founders, o.Founders) && slices.Equal(r.Listed, o.Listed)
}

// check says what is wrong with a record that came from elsewhere.
func (r Record) check() error {
	switch {
	case r.Cluster == (codec.UUID{}):
		return fmt.Errorf("it names no cluster")
	case len(r.Founders) == 0:
		return fmt.Errorf("it names no founders")
	case !slices.IsSorted(r.Listed):
		return fmt.Errorf("its addresses are not sorted")
	}
	for i, f := range r.Founders {
		switch {
		case f.Node == "" || f.Disk == (codec.UUID{}) || f.Link == "":
			return fmt.Errorf("founder %d has no name, no disk or no address", i)
		case i > 0 && r.Founders[i-1].Node >= f.Node:
			return fmt.Errorf("its founders are not in order of names")
		}
	}
	return nil
}

// The record in JSON, with ids as text.
type (
	recordJSON struct {
		Cluster  string        `json:"cluster"`
		Founders []founderJSON `json:"founders"`
		Listed   []string      `json:"listed"`
		Check    string        `json:"check"` // CRC-32C of the rest
	}
	founderJSON struct {
		Node string `json:"node"`
		Disk string `json:"disk"`
		Link string `json:"link"`
	}
)

func (r recordJSON) sum() string {
	r.Check = ""
	p, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("found: encode a record: %v", err)) // strings alone
	}
	return fmt.Sprintf("%08x", codec.CRC32C(p))
}

// Encode writes a record, as it is stored and sent.
func (r Record) Encode() []byte {
	j := recordJSON{Cluster: r.Cluster.String(), Listed: r.Listed}
	for _, f := range r.Founders {
		j.Founders = append(j.Founders, founderJSON{string(f.Node), f.Disk.String(), f.Link})
	}
	j.Check = j.sum()
	p, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("found: encode a record: %v", err))
	}
	return append(p, '\n')
}

// DecodeRecord reads what Encode wrote.
func DecodeRecord(p []byte) (r Record, err error) {
	var j recordJSON
	if err := json.Unmarshal(p, &j); err != nil {
		return r, fmt.Errorf("founding record: %w", err)
	}
	if j.Check != j.sum() {
		return r, fmt.Errorf("founding record: damaged, its checksum is %q and should be %q", j.Check, j.sum())
	}
	if r.Cluster, err = codec.ParseUUID(j.Cluster); err != nil {
		return r, fmt.Errorf("founding record: cluster: %w", err)
	}
	r.Listed = j.Listed
	for _, f := range j.Founders {
		disk, err := codec.ParseUUID(f.Disk)
		if err != nil {
			return r, fmt.Errorf("founding record: founder %q: %w", f.Node, err)
		}
		r.Founders = append(r.Founders, Founder{codec.NodeID(f.Node), disk, f.Link})
	}
	if err := r.check(); err != nil {
		return r, fmt.Errorf("founding record: %w", err)
	}
	return r, nil
}
