package chaos

import (
	"errors"
	"fmt"
	"slices"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/check"
)

// auditSession is the name of the last reading, which reads everything.
const auditSession = "audit"

// violationsShown bounds what an error lists.
const violationsShown = 10

// judge says what is wrong with a history of one broker in which auditSession
// read everything: what check finds, and two things that are known here alone.
func judge(h check.History) error { return judged(h, nil) }

// judgeCluster is judge for a history of several brokers. There, of a producer that
// is not idempotent, a record whose outcome is not known may come behind later ones:
// a broker that stood still may bring it on when it wakes.
func judgeCluster(h check.History) error {
	late := map[uint64]bool{}
	for i := range h.Produces {
		if p := &h.Produces[i]; p.Producer == "" && p.Outcome == check.Unknown {
			late[p.Token] = true
		}
	}
	return judged(h, late)
}

// judged is judge; records of late may stand anywhere.
func judged(h check.History, late map[uint64]bool) error {
	h.Complete = true
	var found []string
	for _, v := range check.Check(h) {
		found = append(found, v.String())
	}
	found = append(found, outOfOrder(h, late)...)
	found = append(found, vanished(h)...)
	if len(found) == 0 {
		return nil
	}
	errs := []error{fmt.Errorf("%d violations", len(found))}
	for _, f := range found[:min(len(found), violationsShown)] {
		errs = append(errs, errors.New(f))
	}
	return errors.Join(errs...)
}

// outOfOrder finds records of one producer in one log that do not stand in
// the order in which they were sent there: the client promises it, also for
// records in flight together and across connections. Those of late are passed over.
func outOfOrder(h check.History, late map[uint64]bool) (found []string) {
	type lane struct {
		log      codec.TopicPartition
		producer int
	}
	last := map[lane]check.Read{}
	for _, r := range h.Reads {
		if r.Session != auditSession || late[r.Token] {
			continue
		}
		l := lane{r.Log, token(r.Token).producer()}
		if was, known := last[l]; known && token(was.Token).number() >= token(r.Token).number() {
			found = append(found, fmt.Sprintf("out-of-order %s: record %x at offset %d, behind record %x at %d that its producer sent later",
				r.Log, r.Token, r.Offset, was.Token, was.Offset))
		}
		last[l] = r
	}
	return found
}

// vanished finds records that a poller was given and that lie behind the end
// that the audit found: a reader saw what was not durable.
func vanished(h check.History) (found []string) {
	end := map[codec.TopicPartition]codec.Offset{}
	for _, r := range h.Reads {
		if r.Session == auditSession {
			end[r.Log] = max(end[r.Log], r.Offset+1)
		}
	}
	for _, r := range h.Reads {
		if r.Offset >= end[r.Log] {
			found = append(found, fmt.Sprintf("vanished %s offset %d record %x: %s was given it, and the log ends at %d", r.Log, r.Offset, r.Token, r.Session, end[r.Log]))
		}
	}
	return found
}

// unexpected lists codes that were answered and should not have been.
func unexpected(codes map[codec.Code]int, rec *recorder, allowed ...codec.Code) error {
	var errs []error
	for code, n := range codes {
		if code != codec.OK && !slices.Contains(allowed, code) {
			errs = append(errs, fmt.Errorf("%d records were answered with %v, the first: %w", n, code, rec.why(code)))
		}
	}
	return errors.Join(errs...)
}
