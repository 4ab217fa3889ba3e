package found

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// process is a broker of the play: its disk survives what it has in mind.
type process struct {
	mind    Mind
	disk    []byte // the stored record
	running bool
	founded *codec.UUID // it belongs to a cluster; survives
}

func (p *process) status(asker *process) Status {
	s := p.mind.Status()
	if p.founded != nil {
		s = Status{Who: p.mind.Me, State: Member, Cluster: *p.founded}
	}
	s.Self = p == asker
	return s
}

// play is some processes, a network that loses, and who founded what.
type play struct {
	t      *testing.T
	chance *rand.Rand
	at     map[string]*process // by address
	drawn  byte
	loss   float64
}

func newPlay(t *testing.T, seed uint64, n int) *play {
	p := &play{t: t, chance: rand.New(rand.NewPCG(seed, 1)), at: map[string]*process{}, loss: 0.2}
	var listed []string
	for i := range n {
		listed = append(listed, fmt.Sprintf("a%d", i))
	}
	for i, at := range listed {
		me := Founder{codec.NodeID(fmt.Sprintf("n%d", (i*7+3)%n)), codec.UUID{1, byte(i + 1)}, at}
		p.at[at] = &process{mind: Mind{Me: me, Listed: listed}}
	}
	return p
}

func (p *play) lucky() bool { return p.chance.Float64() >= p.loss }

// start is a process that comes up with what its disk has.
func (p *play) start(x *process) {
	x.running, x.mind.Stored = true, nil
	if x.disk != nil {
		r, err := DecodeRecord(x.disk)
		require.NoError(p.t, err)
		x.mind.Stored = &r
	}
}

// wipe replaces a disk.
func (p *play) wipe(x *process) {
	p.drawn++
	x.disk, x.founded, x.running, x.mind.Stored = nil, nil, false, nil
	x.mind.Me.Disk = codec.UUID{2, p.drawn}
}

func (p *play) ask(x *process) (answers map[string]Status, silent map[string]string) {
	answers, silent = map[string]Status{}, map[string]string{}
	for _, at := range Addresses(&x.mind) {
		if y := p.at[at]; y.running && p.lucky() {
			answers[at] = y.status(x)
		} else {
			silent[at] = "connection refused"
		}
	}
	return answers, silent
}

// offer has y store a record; it may die just behind the write.
func (p *play) offer(y *process, r Record) {
	if !y.running || !p.lucky() || y.founded != nil || y.mind.Accept(r) != nil {
		return
	}
	y.disk = r.Encode()
	if p.chance.IntN(10) == 0 {
		y.running = false
		return
	}
	y.mind.Stored = &r
}

// turn is one step of one process.
func (p *play) turn(x *process) {
	if !x.running || x.founded != nil {
		return
	}
	step := x.mind.Next(p.ask(x))
	switch {
	case step.Propose != nil:
		p.drawn++
		r := Record{Cluster: codec.UUID{9, p.drawn}, Founders: step.Propose, Listed: x.mind.Listed}
		p.offer(x, r)
	case step.Offer != nil:
		for _, at := range step.Offer {
			p.offer(p.at[at], *x.mind.Stored)
		}
	case step.Found != nil:
		id := step.Found.Cluster
		x.founded = &id
	case step.Join != nil && p.chance.IntN(2) == 0: // and is let in, as somebody new
		id := p.at[step.Join[0]].status(x).Cluster
		x.founded = &id
	}
}

func (p *play) clusters() map[codec.UUID]int {
	all := map[codec.UUID]int{}
	for _, x := range p.at {
		if x.founded != nil {
			all[*x.founded]++
		}
	}
	return all
}

func (p *play) addresses() []string {
	var all []string
	for at := range p.at {
		all = append(all, at)
	}
	slices.Sort(all)
	return all
}

// However many begin at once, and die and come again at any step: there are never
// two clusters, and when they live long enough there is one.
func TestNeverTwoClusters(t *testing.T) {
	for seed := range uint64(2000) {
		p := newPlay(t, seed, 2+int(seed%4))
		all := p.addresses()
		for range 200 {
			x := p.at[all[p.chance.IntN(len(all))]]
			switch n := p.chance.IntN(20); {
			case n == 0:
				x.running = false
			case !x.running:
				p.start(x)
			default:
				p.turn(x)
			}
			require.LessOrEqual(t, len(p.clusters()), 1, "seed %d", seed)
		}
		p.loss = 0
		for range 8 * len(all) {
			for _, at := range all {
				if !p.at[at].running {
					p.start(p.at[at])
				}
				p.turn(p.at[at])
			}
		}
		require.Len(t, p.clusters(), 1, "seed %d", seed)
		for _, at := range all {
			require.NotNil(t, p.at[at].founded, "seed %d: %s", seed, at)
		}
	}
}

// With disks that are replaced in the midst of it there may be none: who lost its
// disk was to be part of it. There are not two of the same founders.
func TestADiskThatIsReplacedFoundsNothingTwice(t *testing.T) {
	refused, founded := 0, 0
	for seed := range uint64(2000) {
		p := newPlay(t, seed, 2+int(seed%4))
		all := p.addresses()
		wipes := 1
		for range 300 {
			x := p.at[all[p.chance.IntN(len(all))]]
			switch n := p.chance.IntN(25); {
			case n == 0:
				x.running = false
			case n == 1 && wipes > 0 && x.founded == nil:
				wipes--
				p.wipe(x)
			case !x.running:
				p.start(x)
			default:
				p.turn(x)
			}
			require.LessOrEqual(t, len(p.clusters()), 1, "seed %d", seed)
		}
		if len(p.clusters()) == 1 {
			founded++
		} else {
			refused++
		}
	}
	require.Positive(t, refused)
	require.Positive(t, founded)
}

func TestNext(t *testing.T) {
	listed := []string{"a1", "a2"}
	one, two := Founder{"n1", codec.UUID{1}, "a1"}, Founder{"n2", codec.UUID{2}, "a2"}
	self := Status{Who: one, Self: true, State: Empty, Listed: listed}
	other := Status{Who: two, State: Empty, Listed: listed}
	record := Record{Cluster: codec.UUID{9}, Founders: []Founder{one, two}, Listed: listed}
	stranger := Record{Cluster: codec.UUID{8}, Founders: []Founder{two}, Listed: listed}
	with := func(s Status, f func(*Status)) Status { f(&s); return s }
	for name, c := range map[string]struct {
		stored  *Record
		answers map[string]Status
		says    string // what it waits for, or why it refuses
		step    string
	}{
		"all are there":        {nil, map[string]Status{"a1": self, "a2": other}, "", "propose"},
		"one is silent":        {nil, map[string]Status{"a1": self}, "waits for [a2 (refused)]", "wait"},
		"another list":         {nil, map[string]Status{"a1": self, "a2": with(other, func(s *Status) { s.Listed = []string{"a2"} })}, "start all with the same list", "wait"},
		"one name twice":       {nil, map[string]Status{"a1": self, "a2": with(other, func(s *Status) { s.Who.Node = "n1" })}, "give each broker a name of its own", "refuse"},
		"not itself":           {nil, map[string]Status{"a1": other, "a2": with(other, func(s *Status) { s.Who.Node = "n3" })}, "it is not one of those", "wait"},
		"a cluster is there":   {nil, map[string]Status{"a1": self, "a2": {Who: two, State: Member, Cluster: codec.UUID{9}}}, "", "join"},
		"somebody has begun":   {nil, map[string]Status{"a1": self, "a2": with(other, func(s *Status) { s.State, s.Record = Recorded, &record })}, `"n2" has begun to found`, "wait"},
		"it lacks the record":  {&record, map[string]Status{"a1": self, "a2": other}, "", "offer"},
		"complete":             {&record, map[string]Status{"a1": self, "a2": with(other, func(s *Status) { s.State, s.Record = Recorded, &record })}, "", "found"},
		"somebody saw that":    {&record, map[string]Status{"a2": {Who: two, State: Member, Cluster: codec.UUID{9}}}, "", "found"},
		"silent with a record": {&record, map[string]Status{"a1": self}, `waits for ["n2" at a2 (refused)]`, "wait"},
		"another disk":         {&record, map[string]Status{"a2": with(other, func(s *Status) { s.Who.Disk = codec.UUID{7} })}, "another data directory", "refuse"},
		"another record":       {&record, map[string]Status{"a2": with(other, func(s *Status) { s.State, s.Record = Recorded, &stranger })}, "start all of them with empty data directories", "refuse"},
		"of another cluster":   {&record, map[string]Status{"a2": {Who: two, State: Member, Cluster: codec.UUID{8}}}, "belongs to cluster", "refuse"},
	} {
		m := Mind{Me: one, Listed: listed, Stored: c.stored}
		silent := map[string]string{}
		for _, at := range listed {
			if _, ok := c.answers[at]; !ok {
				silent[at] = "refused"
			}
		}
		s := m.Next(c.answers, silent)
		says := s.Wait
		if s.Refuse != nil {
			says = s.Refuse.Error()
		}
		require.Contains(t, says, c.says, name)
		got := map[string]bool{"wait": s.Wait != "", "propose": s.Propose != nil, "offer": s.Offer != nil, "found": s.Found != nil, "join": s.Join != nil, "refuse": s.Refuse != nil}
		require.True(t, got[c.step], "%s: %+v", name, s)
	}
	two1 := Mind{Me: one, Listed: []string{"a2", "a3"}}
	s := two1.Next(map[string]Status{"a2": {Who: two, State: Member, Cluster: codec.UUID{8}}, "a3": {Who: two, State: Member, Cluster: codec.UUID{9}}}, nil)
	require.ErrorContains(t, s.Refuse, "list brokers of one")
}

func TestAccept(t *testing.T) {
	listed := []string{"a1", "a2"}
	one, two := Founder{"n1", codec.UUID{1}, "a1"}, Founder{"n2", codec.UUID{2}, "a2"}
	record := Record{Cluster: codec.UUID{9}, Founders: []Founder{one, two}, Listed: listed}
	other := record
	other.Cluster = codec.UUID{8}
	require.NoError(t, (&Mind{Me: one, Listed: listed}).Accept(record))
	require.NoError(t, (&Mind{Me: one, Listed: listed, Stored: &record}).Accept(record))
	require.ErrorContains(t, (&Mind{Me: one, Listed: listed, Stored: &record}).Accept(other), "has begun to found")
	require.ErrorContains(t, (&Mind{Me: Founder{"n1", codec.UUID{3}, "a1"}, Listed: listed}).Accept(record), "not among the founders")
	require.ErrorContains(t, (&Mind{Me: one, Listed: []string{"a1"}}).Accept(record), "same list")
	require.ErrorContains(t, (&Mind{Me: one, Listed: listed}).Accept(Record{}), "names no cluster")
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(Record{Cluster: codec.UUID{9}, Founders: []Founder{{"n1", codec.UUID{1}, "a1"}}, Listed: []string{"a1"}}.Encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		if r, err := DecodeRecord(p); err == nil {
			again, err := DecodeRecord(r.Encode())
			require.NoError(t, err)
			require.True(t, r.Equal(again))
		}
	})
}
