package replica

import "fmt"

// Logger takes what raft says about a group: changes of role and oddities,
// nothing per record.
type Logger interface {
	Debugf(format string, args ...any)
	Infof(format string, args ...any)
	Warnf(format string, args ...any)
	Errorf(format string, args ...any)
}

// raftLogger is raft's logger over ours, which may be nil. Raft relies on
// Panic and Fatal not to return: both panic, and whoever supervises decides.
type raftLogger struct{ to Logger }

func (l raftLogger) Debug(v ...any) {
	if l.to != nil {
		l.to.Debugf("%s", fmt.Sprint(v...))
	}
}

func (l raftLogger) Debugf(format string, v ...any) {
	if l.to != nil {
		l.to.Debugf(format, v...)
	}
}

func (l raftLogger) Info(v ...any) {
	if l.to != nil {
		l.to.Infof("%s", fmt.Sprint(v...))
	}
}

func (l raftLogger) Infof(format string, v ...any) {
	if l.to != nil {
		l.to.Infof(format, v...)
	}
}

func (l raftLogger) Warning(v ...any) {
	if l.to != nil {
		l.to.Warnf("%s", fmt.Sprint(v...))
	}
}

func (l raftLogger) Warningf(format string, v ...any) {
	if l.to != nil {
		l.to.Warnf(format, v...)
	}
}

func (l raftLogger) Error(v ...any) {
	if l.to != nil {
		l.to.Errorf("%s", fmt.Sprint(v...))
	}
}

func (l raftLogger) Errorf(format string, v ...any) {
	if l.to != nil {
		l.to.Errorf(format, v...)
	}
}

func (l raftLogger) Fatal(v ...any)                 { l.Panic(v...) }
func (l raftLogger) Fatalf(format string, v ...any) { l.Panicf(format, v...) }
func (l raftLogger) Panic(v ...any)                 { panic("replica: raft: " + fmt.Sprint(v...)) }
func (l raftLogger) Panicf(format string, v ...any) {
	panic("replica: raft: " + fmt.Sprintf(format, v...))
}
