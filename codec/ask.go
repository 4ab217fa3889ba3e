package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Ask is a letter that asks the broker it is sent to, which is taken for the
// leader of the metadata group, to propose a command.
//
//	24   8   number, the asker's choice
//	32       command
type Ask struct {
	Cluster UUID
	Number  uint64
	Command []byte
}

const askHeadBytes = letterHeadBytes + 8

// Encode makes the letter.
func (a *Ask) Encode() []byte {
	p := letterHead(LetterAsk, a.Cluster, 8+len(a.Command))
	p = binary.BigEndian.AppendUint64(p, a.Number)
	return sealLetter(append(p, a.Command...))
}

// ParseAsk reads what Encode made; the result shares its memory.
func ParseAsk(p []byte) (*Ask, error) {
	if len(p) < askHeadBytes {
		return nil, fmt.Errorf("parse ask: %d bytes, want at least %d", len(p), askHeadBytes)
	}
	cluster, err := openLetter(p, LetterAsk, len(p))
	if err != nil {
		return nil, err
	}
	return &Ask{Cluster: cluster, Number: binary.BigEndian.Uint64(p[24:]), Command: p[askHeadBytes:]}, nil
}

// AskAnswer is the letter that answers an Ask.
//
//	24   8   number of the ask
//	32   8   revision of the metadata after the command
//	40   8   first producer id, of a command that asked for some
//	48   2   code; 0 when the command was carried out
//	50       why it was not
type AskAnswer struct {
	Cluster         UUID
	Number          uint64
	Revision        uint64
	FirstProducerID int64
	Err             *Error // nil when the command was carried out
}

const (
	answerHeadBytes = letterHeadBytes + 8*3 + 2
	answerTextMax   = 4 << 10
)

// Encode makes the letter. A long reason is cut short.
func (a *AskAnswer) Encode() []byte {
	be := binary.BigEndian
	code, text := OK, ""
	if a.Err != nil {
		code, text = a.Err.Code, a.Err.Message
		text = text[:min(len(text), answerTextMax)]
	}
	p := letterHead(LetterAnswer, a.Cluster, answerHeadBytes-letterHeadBytes+len(text))
	p = be.AppendUint64(p, a.Number)
	p = be.AppendUint64(p, a.Revision)
	p = be.AppendUint64(p, uint64(a.FirstProducerID))
	p = be.AppendUint16(p, uint16(code))
	return sealLetter(append(p, text...))
}

// ParseAskAnswer reads what Encode made.
func ParseAskAnswer(p []byte) (*AskAnswer, error) {
	if len(p) < answerHeadBytes || len(p) > answerHeadBytes+answerTextMax {
		return nil, fmt.Errorf("parse answer: %d bytes", len(p))
	}
	cluster, err := openLetter(p, LetterAnswer, len(p))
	if err != nil {
		return nil, err
	}
	be := binary.BigEndian
	a := &AskAnswer{Cluster: cluster, Number: be.Uint64(p[24:]), Revision: be.Uint64(p[32:]), FirstProducerID: int64(be.Uint64(p[40:]))}
	switch code, text := Code(be.Uint16(p[48:])), string(p[answerHeadBytes:]); {
	case code != OK:
		a.Err = &Error{Code: code, Message: text}
	case text != "":
		return nil, errors.New("parse answer: a reason why it was done")
	}
	return a, nil
}
