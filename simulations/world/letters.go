package world

import (
	"fmt"
	"strings"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-mq/troupe/codec"
)

// describe says what a letter is, for the trace.
func describe(from codec.NodeID, letter []byte) string {
	kind, _, err := codec.KindOfLetter(letter)
	if err != nil {
		return fmt.Sprintf("%s→ %d bytes that are no letter", from, len(letter))
	}
	switch kind {
	case codec.LetterRaft:
		if l, err := codec.ParseRaftLetter(letter); err == nil {
			return fmt.Sprintf("%s→ %s", from, describeRaft(l))
		}
	case codec.LetterBeats:
		if l, err := codec.ParseBeats(letter); err == nil {
			return fmt.Sprintf("%s→%s", from, describeBeats(l))
		}
	case codec.LetterAsk:
		if a, err := codec.ParseAsk(letter); err == nil {
			return fmt.Sprintf("%s→ asks %.60s", from, a.Command)
		}
	case codec.LetterAnswer:
		if a, err := codec.ParseAskAnswer(letter); err == nil {
			return fmt.Sprintf("%s→ answers revision %d %v", from, a.Revision, codec.CodeOf(errorOf(a.Err)))
		}
	}
	return fmt.Sprintf("%s→ a letter of kind %d", from, kind)
}

// describeBeats is " beats g2t3c16 g4t3!": of each beat its group and term, and what is
// committed or that it is an answer.
func describeBeats(l *codec.Beats) string {
	s := " beats"
	for _, b := range l.List {
		s += fmt.Sprintf(" g%dt%d", b.Group, b.Term)
		if b.Answer {
			s += "!"
		} else {
			s += fmt.Sprintf("c%d", b.Commit)
		}
	}
	return s
}

func errorOf(e *codec.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// describeRaft is "g2 App 3 17.2+4 commit 16": group, kind, term, what is before
// the entries and how many they are.
func describeRaft(l *codec.RaftLetter) string {
	var m raftpb.Message
	if err := proto.Unmarshal(l.Raft, &m); err != nil {
		return err.Error()
	}
	s := fmt.Sprintf("g%d %s t%d", l.Group, strings.TrimPrefix(m.GetType().String(), "Msg"), m.GetTerm())
	if m.GetIndex() > 0 {
		s += fmt.Sprintf(" %d.%d", m.GetIndex(), m.GetLogTerm())
	}
	if n := len(m.GetEntries()); n > 0 {
		s += fmt.Sprintf("+%d", n)
	}
	if m.GetReject() {
		s += " no"
	}
	if m.GetCommit() > 0 {
		s += fmt.Sprintf(" c%d", m.GetCommit())
	}
	return s
}
