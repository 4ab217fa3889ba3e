package chaos

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/check"
)

var orders = codec.TopicPartition{Topic: "orders"}

// played is a history in which producer 1 sent its records in the order of
// numbers, all in flight at once, and they were read as they stand in log.
func played(numbers []uint64, log []uint64) (h check.History) {
	at := map[uint64]codec.Offset{}
	for i, n := range log {
		at[n] = codec.Offset(i)
	}
	for _, n := range numbers {
		p := check.Produce{Log: orders, Token: uint64(tokenOf(1, n)), Value: n, Call: 1, Return: 50, Outcome: check.Unknown}
		if o, there := at[n]; there {
			p.Outcome, p.Offset = check.OK, o
		}
		h.Produces = append(h.Produces, p)
	}
	for i, n := range log {
		h.Reads = append(h.Reads, check.Read{Log: orders, Session: auditSession, Token: uint64(tokenOf(1, n)), Value: n, Offset: codec.Offset(i), Call: 100, Return: 100})
	}
	return h
}

func TestJudge(t *testing.T) {
	all := []uint64{1, 2, 3}
	require.NoError(t, judge(played(all, all)))
	require.NoError(t, judge(played(all, []uint64{1, 3})), "record 2 has an unknown outcome")

	lost := played(all, all)
	lost.Reads = lost.Reads[:2]
	require.ErrorContains(t, judge(lost), "unseen orders/0 offset 2")

	require.ErrorContains(t, judge(played(all, []uint64{1, 3, 2})),
		"1 violations\nout-of-order orders/0: record 10000000002 at offset 2, behind record 10000000003 at 1 that its producer sent later")

	gone := played(all, []uint64{1, 2})
	gone.Reads = append(gone.Reads, check.Read{Log: orders, Session: "poller", Token: uint64(tokenOf(1, 3)), Value: 3, Offset: 2, Call: 60, Return: 60})
	require.ErrorContains(t, judge(gone), "1 violations\nvanished orders/0 offset 2 record 10000000003: poller was given it, and the log ends at 2")
}

// A record of unknown outcome that turns up behind later ones is wrong where there is
// one broker. Among several it is not, unless its producer is idempotent.
func TestJudgeOfLateRecords(t *testing.T) {
	late := played([]uint64{1, 2, 3}, []uint64{1, 3, 2})
	late.Produces[1].Outcome = check.Unknown
	require.ErrorContains(t, judge(late), "out-of-order")
	require.NoError(t, judgeCluster(late))
	for i := range late.Produces {
		late.Produces[i].Producer, late.Produces[i].Sequence = "one", int64(i)
	}
	require.ErrorContains(t, judgeCluster(late), "out-of-order")
}

func TestJudgeShowsAFew(t *testing.T) {
	var many []uint64
	for n := range uint64(50) {
		many = append(many, 50-n)
	}
	var sent []uint64
	for n := range uint64(50) {
		sent = append(sent, n+1)
	}
	err := judge(played(sent, many))
	require.ErrorContains(t, err, "49 violations\n")
	require.Len(t, err.(interface{ Unwrap() []error }).Unwrap(), 1+violationsShown)
}

func TestUnexpectedCodes(t *testing.T) {
	rec := newRecorder()
	at := rec.send("", orders, []token{tokenOf(1, 1), tokenOf(1, 2)}, []uint64{1, 2})
	rec.answered(at, 1, 10, 4, nil)
	rec.answered(at+1, 1, 10, 0, codec.Errorf(codec.Internal, "a bug"))
	h, codes := rec.history()
	require.Equal(t, check.OK, h.Produces[0].Outcome)
	require.Equal(t, codec.Offset(4), h.Produces[0].Offset)
	require.Equal(t, check.Failed, h.Produces[1].Outcome)
	require.EqualError(t, unexpected(codes, rec), "1 records were answered with INTERNAL, the first: INTERNAL: a bug")
	require.NoError(t, unexpected(codes, rec, codec.Internal))
}

func TestRecorderTellsOfEvents(t *testing.T) {
	rec := newRecorder()
	at := rec.send("", orders, []token{tokenOf(1, 1), tokenOf(1, 2), tokenOf(1, 3)}, []uint64{1, 2, 3})
	three, full := rec.afterAcked(2), rec.afterCode(codec.DiskFull, 1)
	rec.answered(at, 1, 10, 0, nil)
	require.Len(t, rec.events, 2)
	rec.answered(at+1, 1, 10, 1, nil)
	<-three
	rec.answered(at+2, 1, 10, 1, codec.Errorf(codec.DiskFull, "no room"))
	<-full
	require.Empty(t, rec.events)
	<-rec.afterAcked(0)
	require.ErrorContains(t, rec.why(codec.DiskFull), "no room")
	rec.forget(codec.DiskFull)
	require.NoError(t, rec.why(codec.DiskFull))
}
