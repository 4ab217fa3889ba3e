package found

import (
	"fmt"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// Mind is what one broker without a cluster knows. Who asks others, and stores, is
// its caller.
type Mind struct {
	Me     Founder
	Listed []string // addresses that it was told to join, sorted, each once
	Stored *Record  // the record that it has on its disk
}

// State is how far a broker is.
type State string

// The states.
const (
	Empty    State = "empty"    // it has nothing
	Recorded State = "recorded" // it has stored a record
	Member   State = "member"   // it belongs to a cluster
)

// Status is what a broker says of itself.
type Status struct {
	Who     Founder
	Self    bool // it is the one that asked
	State   State
	Record  *Record    // of one that has recorded
	Cluster codec.UUID // of a member
	Listed  []string   // what it was told to join
}

// Status is what is said to whoever asks.
func (m *Mind) Status() Status {
	s := Status{Who: m.Me, State: Empty, Listed: m.Listed}
	if m.Stored != nil {
		s.State, s.Record = Recorded, m.Stored
	}
	return s
}

// Step is what a broker does next. One of its fields is set.
type Step struct {
	// Wait: nothing can be done. It says for what, for a person.
	Wait string
	// Propose: a record with these founders is to be drawn up, and offered to all,
	// oneself first.
	Propose []Founder
	// Offer: the stored record is to be offered to those who lack it.
	Offer []string // addresses
	// Found: the record is complete.
	Found *Record
	// Join: the cluster is there; one of these addresses is to be asked.
	Join []string
	// Refuse: it cannot come to anything, and a person has to do something.
	Refuse error
}

// Next says what follows from what those who are listed answer. Of those that do
// not answer, silent says why.
func (m *Mind) Next(answers map[string]Status, silent map[string]string) Step {
	if m.Stored != nil {
		return m.withRecord(answers, silent)
	}
	var members []string
	for _, at := range m.Listed {
		if s, ok := answers[at]; ok && s.State == Member {
			members = append(members, at)
		}
	}
	if len(members) > 0 {
		return m.toJoin(members, answers)
	}
	return m.withoutRecord(answers, silent)
}

// toJoin joins the one cluster that is there.
func (m *Mind) toJoin(members []string, answers map[string]Status) Step {
	first := answers[members[0]]
	for _, at := range members[1:] {
		if s := answers[at]; s.Cluster != first.Cluster {
			return Step{Refuse: fmt.Errorf("%s is of cluster %s, and %s of cluster %s: list brokers of one", members[0], first.Cluster, at, s.Cluster)}
		}
	}
	return Step{Join: members}
}

// withoutRecord proposes, when all are there and it is the first of them by name.
func (m *Mind) withoutRecord(answers map[string]Status, silent map[string]string) Step {
	var all []Founder
	listsItself := false
	for _, at := range m.Listed {
		s, ok := answers[at]
		if !ok {
			continue
		}
		listsItself = listsItself || s.Self
		if i := slices.IndexFunc(all, func(f Founder) bool { return f.Node == s.Who.Node }); i >= 0 {
			return Step{Refuse: fmt.Errorf("two of the listed addresses, %s one of them, are reached by the name %q: give each broker a name of its own, and list each once", at, s.Who.Node)}
		}
		all = append(all, s.Who)
	}
	switch {
	case len(answers) < len(m.Listed):
		return Step{Wait: waitsFor(m.Listed, silent)}
	case !listsItself:
		return Step{Wait: "brokers that it was told to join have no cluster yet, and it is not one of those that found one: none of the listed addresses leads here"}
	}
	for _, at := range m.Listed {
		if s := answers[at]; s.State == Recorded {
			return Step{Wait: fmt.Sprintf("%q has begun to found cluster %s with %v: waits for them", s.Who.Node, s.Record.Cluster, s.Record.Names())}
		}
		if s := answers[at]; !slices.Equal(s.Listed, m.Listed) {
			return Step{Wait: fmt.Sprintf("%q was told to join %v, and this broker %v: start all with the same list", s.Who.Node, s.Listed, m.Listed)}
		}
	}
	slices.SortFunc(all, func(a, b Founder) int {
		if a.Node < b.Node {
			return -1
		}
		return 1
	})
	if all[0].Node != m.Me.Node {
		return Step{Wait: fmt.Sprintf("all are there, and %q begins", all[0].Node)}
	}
	return Step{Propose: all}
}

// withRecord goes on with what is stored: it never joins anything else.
func (m *Mind) withRecord(answers map[string]Status, silent map[string]string) Step {
	var missing, lack []string
	for _, f := range m.Stored.Founders {
		s, at, there := m.founder(f, answers)
		switch {
		case f == m.Me:
		case !there:
			missing = append(missing, fmt.Sprintf("%q at %s%s", f.Node, f.Link, because(silent[at])))
		case s.State == Member && s.Cluster == m.Stored.Cluster:
			return Step{Found: m.Stored} // somebody has seen that it is complete
		case s.State == Member:
			return Step{Refuse: fmt.Errorf("%q belongs to cluster %s, and was to found cluster %s with this broker: %s", f.Node, s.Cluster, m.Stored.Cluster, startOver)}
		case s.Who != f:
			return Step{Refuse: fmt.Errorf("%q has another data directory or address than when the founding began: %s", f.Node, startOver)}
		case s.State == Empty:
			lack = append(lack, at)
		case !s.Record.Equal(*m.Stored):
			return Step{Refuse: fmt.Errorf("%q has begun to found cluster %s with %v, and this broker cluster %s with %v: %s",
				f.Node, s.Record.Cluster, s.Record.Names(), m.Stored.Cluster, m.Stored.Names(), startOver)}
		}
	}
	switch {
	case len(lack) > 0:
		return Step{Offer: lack}
	case len(missing) > 0:
		return Step{Wait: fmt.Sprintf("the founding of cluster %s waits for %v", m.Stored.Cluster, missing)}
	}
	return Step{Found: m.Stored}
}

const startOver = "no cluster was founded; start all of them with empty data directories"

// founder is what somebody that a record names has answered, and where.
func (m *Mind) founder(f Founder, answers map[string]Status) (s Status, at string, there bool) {
	for _, at := range Addresses(m) {
		if s, ok := answers[at]; ok && s.Who.Node == f.Node {
			return s, at, true
		}
	}
	return Status{}, f.Link, false
}

// Addresses are those to ask: the listed ones, and those of a record.
func Addresses(m *Mind) []string {
	all := slices.Clone(m.Listed)
	if m.Stored != nil {
		for _, f := range m.Stored.Founders {
			all = append(all, f.Link)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Accept says whether a record that is offered may be stored; nil also when it is
// the one that is stored. The caller stores it, and only then sets Stored.
func (m *Mind) Accept(r Record) error {
	switch {
	case r.check() != nil:
		return codec.Errorf(codec.InvalidArgument, "founding record: %v", r.check())
	case m.Stored != nil && m.Stored.Equal(r):
		return nil
	case m.Stored != nil:
		return codec.Errorf(codec.Denied, "%q has begun to found cluster %s with %v", m.Me.Node, m.Stored.Cluster, m.Stored.Names())
	case !slices.Contains(r.Founders, m.Me):
		return codec.Errorf(codec.Denied, "%q, disk %s at %s, is not among the founders", m.Me.Node, m.Me.Disk, m.Me.Link)
	case !slices.Equal(r.Listed, m.Listed):
		return codec.Errorf(codec.Denied, "%q was told to join %v, and not %v: start all with the same list", m.Me.Node, m.Listed, r.Listed)
	}
	return nil
}

func waitsFor(listed []string, silent map[string]string) string {
	var all []string
	for _, at := range listed {
		if why, ok := silent[at]; ok {
			all = append(all, at+because(why))
		}
	}
	return fmt.Sprintf("waits for %v", all)
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}
