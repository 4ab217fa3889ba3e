package actors

import (
	"github.com/troupe-mq/troupe/codec"
)

// Inspection is what a replica derived from its log, so that replicas can be
// compared: as of the same Index it is the same on each.
type Inspection struct {
	Index     codec.Index  // the last committed entry
	Start     codec.Offset // as it was decided, which is not where the files begin
	Next      codec.Offset // behind the last committed batch
	Producers uint32       // a checksum of the table of idempotent producers
	// Ahead says that the table already knows of entries behind Index.
	Ahead bool
}

// Inspect asks the replica on this broker what it derived from its log. reply is
// called once, and must not wait.
func (h *Handle) Inspect(reply func(Inspection, error)) {
	m := &inspect{reply}
	h.tell(m, m.refuse)
}

type inspect struct {
	reply func(Inspection, error)
}

func (m *inspect) refuse(err error) { m.reply(Inspection{}, err) }

func (p *Partition) inspect(m *inspect) {
	if p.mind == nil {
		m.refuse(orUnavailable(p.refusal(), p.seat.name))
		return
	}
	m.reply(Inspection{
		Index: p.mind.Commit(), Start: p.disk.index.Start(), Next: p.disk.index.View().HighWatermark(),
		Producers: codec.CRC32C(p.mind.Producers().Export(nil)), Ahead: p.mind.ProducersAhead(),
	}, nil)
}
