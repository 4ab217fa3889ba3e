package replica

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
)

// batch makes a batch of count records whose bytes are value. Only its head
// is well formed; a mind does not look further.
func batch(value string, count int32) codec.Batch {
	return producerBatch(value, count, -1, -1, -1)
}

func producerBatch(value string, count int32, id int64, epoch int16, sequence int32) codec.Batch {
	b := make(codec.Batch, codec.BatchHeaderBytes, codec.BatchHeaderBytes+len(value))
	b = append(b, value...)
	be := binary.BigEndian
	be.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	be.PutUint32(b[23:], uint32(count-1))
	be.PutUint64(b[43:], uint64(id))
	be.PutUint16(b[51:], uint16(epoch))
	be.PutUint32(b[53:], uint32(sequence))
	be.PutUint32(b[57:], uint32(count))
	be.PutUint32(b[17:], codec.CRC32C(b[codec.BatchHeadBytes:]))
	return b
}

func describe(a *Append) string {
	s := ""
	if a.Hard {
		s += fmt.Sprintf("term %d vote %d ", a.Term, a.Vote)
	}
	if a.Snapshot != nil {
		s += fmt.Sprintf("snapshot %d ", a.Snapshot.GetMetadata().GetIndex())
	}
	for _, e := range a.Entries {
		s += fmt.Sprintf("[%d.%d %s] ", e.Term, e.Index, entryString(e))
	}
	return s + fmt.Sprintf("commit %d", a.Commit)
}

func entryString(e Entry) string {
	if e.Type != raftpb.EntryNormal {
		return "conf"
	}
	if run, ok, _ := codec.ParseBatchEntry(e.Data); ok {
		var all []string
		for i := range run.Len() {
			s := fmt.Sprintf("offset %d+%d", run.At(i).BaseOffset, run.At(i).Count)
			if e.Payloads != nil {
				s += " " + string(e.Payloads[i][codec.BatchHeaderBytes:])
			}
			all = append(all, s)
		}
		return strings.Join(all, ", ")
	}
	if len(e.Data) == 0 {
		return "empty"
	}
	return fmt.Sprintf("%d bytes", len(e.Data))
}

func messageString(m *raftpb.Message) string {
	s := fmt.Sprintf("%d→%d %s term %d", m.GetFrom(), m.GetTo(), m.GetType(), m.GetTerm())
	if m.Index != nil {
		s += fmt.Sprintf(" index %d", m.GetIndex())
	}
	if n := len(m.GetEntries()); n > 0 {
		s += fmt.Sprintf(" entries %d", n)
	}
	if m.GetReject() {
		s += " rejected"
	}
	return s
}

func confString(state []byte) string {
	cs, err := ParseConf(state)
	must(err)
	return fmt.Sprintf("voters %v outgoing %v learners %v", cs.GetVoters(), cs.GetVotersOutgoing(), cs.GetLearners())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }
