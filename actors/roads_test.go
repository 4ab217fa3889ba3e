package actors

import (
	"crypto/rand"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// Larger terms win; what is still true is not forgotten when another broker ends.
func TestLawsOfLeads(t *testing.T) {
	l := newLeads()
	require.True(t, l.hear("n1", []codec.Lead{{Group: 7, Term: 2}, {Group: 8, Term: 1}}, 0))
	require.False(t, l.hear("n1", []codec.Lead{{Group: 7, Term: 2}}, 1000), "it is known")
	require.False(t, l.hear("n2", []codec.Lead{{Group: 7, Term: 2}, {Group: 8, Term: 1}}, 1000), "of one term the first")
	require.True(t, l.hear("n2", []codec.Lead{{Group: 8, Term: 3}}, 1000))
	require.False(t, l.hear("n1", []codec.Lead{{Group: 8, Term: 2}}, 1500), "an older term says nothing")
	require.Equal(t, map[codec.GroupID]lead{7: {"n1", 2}, 8: {"n2", 3}}, l.of)
	require.True(t, l.lost("n2"))
	require.Equal(t, map[codec.GroupID]lead{7: {"n1", 2}}, l.of, "another broker's end takes nothing else away")
	require.False(t, l.deny(7, lead{"n1", 1}), "that was another term")
	require.False(t, l.expire(1000+leadsFor))
	require.True(t, l.expire(1001+leadsFor), "nobody has spoken for it")
	require.Empty(t, l.of)
	require.Empty(t, l.heard)
}

// What is led is told in letters of bounded size, all of it; nothing is told too.
func TestLeadsAreCutIntoLetters(t *testing.T) {
	list := make([]codec.Lead, 2*codec.LeadsMax+1)
	for i := range list {
		list[i].Group = codec.GroupID(i)
	}
	var got []codec.Lead
	for i, p := range cutLeads(codec.UUID{1}, true, list) {
		l, err := codec.ParseLeads(p)
		require.NoError(t, err)
		require.Equal(t, i == 0, l.Asks, "one letter asks")
		got = append(got, l.List...)
	}
	require.Equal(t, list, got)
	none := cutLeads(codec.UUID{1}, true, nil)
	require.Len(t, none, 1)
}

// A row is taken in order; what comes twice is taken once; behind a gap nothing of the
// row is taken any more, not even what filled it; an older row never.
func TestLawsOfArrivals(t *testing.T) {
	var a arrivals
	for i, step := range []struct {
		row, place uint64
		want       verdict
	}{
		{5, 0, takeIt}, {5, 1, takeIt}, {5, 1, seenIt}, {5, 0, seenIt},
		{5, 3, brokenIt}, {5, 2, brokenIt}, {5, 1, seenIt},
		{6, 0, takeIt}, {5, 2, oldRow}, {6, 1, takeIt},
		{7, 2, brokenIt}, {7, 1, seenIt}, {7, 3, brokenIt}, // it began before this broker did
		{8, 0, takeIt},
	} {
		_, got := a.judge("n1", &codec.Parcel{Group: 9, Row: step.row, Place: step.place})
		require.Equal(t, step.want, got, "step %d", i)
	}
	_, got := a.judge("n2", &codec.Parcel{Group: 9, Row: 1})
	require.Equal(t, takeIt, got, "another sender has rows of its own")
	_, got = a.judge("n1", &codec.Parcel{Group: 10, Row: 1})
	require.Equal(t, takeIt, got, "and another group")
}

// post is a link that keeps what is sent.
type post struct {
	letters []*codec.Parcel
	looks   int
}

func (l *post) Send(_ codec.NodeID, parts [][]byte) {
	if kind, _, err := codec.KindOfLetter(parts[0]); err == nil && kind == codec.LetterLook {
		l.looks++
		return
	}
	p, err := codec.ParseParcel(append(append([]byte(nil), parts[0]...), parts[1]...))
	if err != nil {
		panic(err)
	}
	l.letters = append(l.letters, p)
}

// shore is a ferry whose turns the test takes.
type shore struct {
	*ferry
	sent *post
	told map[string]error
	t    *testing.T
}

func newShore(t *testing.T) *shore {
	link := &post{}
	house := newHouse(Config{Ports: Ports{Clock: testClock{}, Chance: rand.Reader, Link: link}})
	house.node = "n0"
	t.Cleanup(house.system.Shutdown)
	deaf := house.system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	house.herald = deaf
	f := &ferry{house: house, self: deaf, rows: map[codec.GroupID]*row{}, ways: map[uint64]*way{}, looks: map[uint64]*look{}, lastRow: 100}
	return &shore{f, link, map[string]error{}, t}
}

func (s *shore) led(node codec.NodeID, term codec.Term) {
	s.house.leads.Store(&map[codec.GroupID]lead{7: {node, term}})
}

func (s *shore) take(name string) {
	var b codec.Builder
	b.Append(7, nil, []byte(name), nil)
	batch, err := b.Build(codec.NoCompression)
	require.NoError(s.t, err)
	s.carry(&carry{way: &way{group: 7, batch: batch, reply: func(_ codec.Produced, err error) {
		_, twice := s.told[name]
		require.False(s.t, twice, "%s is answered once", name)
		s.told[name] = err
	}}})
}

func (s *shore) answers(i int, r codec.Receipt) {
	r.Number = s.sent.letters[i].Number
	s.receipt(&r)
}

func (s *shore) code(name string) codec.Code {
	err, told := s.told[name]
	require.True(s.t, told, "%s is answered", name)
	return codec.CodeOf(err)
}

// What was sent and is lost is UNKNOWN, and so is all behind it; what was not sent is
// refused for certain; and what comes later is in another row.
func TestALostBatchTakesThoseBehindItAlong(t *testing.T) {
	s := newShore(t)
	s.take("early")
	require.Equal(t, codec.Unavailable, s.code("early"), "nobody leads: it was not sent")
	s.led("n1", 1)
	s.take("a")
	s.take("b")
	s.take("c")
	s.answers(0, codec.Receipt{Produced: codec.Produced{Base: 4}})
	require.NoError(t, s.told["a"])
	s.led("n2", 2)
	s.take("d")
	require.Len(t, s.sent.letters, 3, "it waits for those before it")
	s.gone("n1")
	require.Equal(t, codec.Unknown, s.code("b"))
	require.Equal(t, codec.Unknown, s.code("c"))
	require.Equal(t, codec.Unavailable, s.code("d"), "it never left")
	s.take("e")
	require.Greater(t, s.sent.letters[3].Row, s.sent.letters[2].Row)
	require.Zero(t, s.sent.letters[3].Place)
	s.answers(1, codec.Receipt{}) // too late
	s.answers(3, codec.Receipt{})
	require.NoError(t, s.told["e"])
	require.Empty(t, s.ways)
	require.Empty(t, s.rows)
}

// Nothing is sent to a broker that has just ended, though it is still said to lead: it
// would be answered by nobody.
func TestNothingIsSentToTheDead(t *testing.T) {
	s := newShore(t)
	s.led("n1", 1)
	s.gone("n1")
	s.take("a")
	require.Equal(t, codec.Unavailable, s.code("a"), "for certain, and at once")
	asked := false
	s.look(&look{letter: codec.Look{Group: 7}, reply: func(_ *codec.Sight, err error) {
		asked = true
		require.Equal(t, codec.Unavailable, codec.CodeOf(err))
	}})
	require.True(t, asked)
	require.Empty(t, s.sent.letters)
	require.Zero(t, s.sent.looks)
	s.led("n2", 2)
	s.take("b")
	require.Len(t, s.sent.letters, 1)
}

// A batch whose broker stands still is given up when another leads, though no other
// comes that would want to go there; and not before.
func TestABatchAtABrokerThatStandsStill(t *testing.T) {
	s := newShore(t)
	s.led("n1", 1)
	s.take("a")
	for range int(2 * patience / lookAfter) {
		s.lookAt(s.last)
	}
	require.NotContains(t, s.told, "a", "it leads, and may be slow")
	s.led("n2", 2)
	s.lookAt(s.last)
	require.Equal(t, codec.Unknown, s.code("a"))
	s.led("n1", 3)
	s.take("b")
	for range int(carryWithin / lookAfter) {
		require.NotContains(t, s.told, "b")
		s.lookAt(s.last)
	}
	require.Equal(t, codec.Unknown, s.code("b"), "its time is over")
	require.Empty(t, s.ways)
}

// A ferry that has panicked answers all that it had, once; the one that takes its place
// takes no receipt of the one before for its own.
func TestAFerryThatFalls(t *testing.T) {
	s := newShore(t)
	s.led("n1", 1)
	s.take("sent")
	asked := 0
	s.look(&look{letter: codec.Look{Group: 7, Kind: codec.LookBounds}, reply: func(_ *codec.Sight, err error) {
		asked++
		require.Equal(t, codec.Unavailable, codec.CodeOf(err))
	}})
	s.led("n2", 2)
	s.take("held")
	s.fall()
	require.Equal(t, codec.Unknown, s.code("sent"))
	require.Equal(t, codec.Unknown, s.code("held"))
	require.Equal(t, 1, asked)
	require.Empty(t, s.ways)
	require.Empty(t, s.looks)

	lives := map[uint64]bool{}
	for range 3 {
		house := newHouse(Config{Ports: Ports{Clock: testClock{}, Chance: rand.Reader, Link: &post{}}})
		began := make(chan uint64, 1)
		props := actor.PropsFromProducer(func() actor.Actor { return &firstTurn{&ferry{house: house}, began} })
		house.system.Root.Spawn(props)
		lives[<-began] = true
		house.system.Shutdown()
	}
	require.Len(t, lives, 3, "each begins with numbers of its own")
}

// firstTurn tells with which number a ferry begins.
type firstTurn struct {
	*ferry
	began chan uint64
}

func (f *firstTurn) Receive(ctx actor.Context) {
	f.ferry.Receive(ctx)
	if _, started := ctx.Message().(*actor.Started); started {
		f.began <- f.last
	}
}

// Held batches go when those before them are answered, in order.
func TestOneRouteUntilAllAreAnswered(t *testing.T) {
	s := newShore(t)
	s.led("n1", 1)
	s.take("a")
	s.led("n2", 2)
	s.take("b")
	s.take("c")
	require.Len(t, s.sent.letters, 1)
	s.answers(0, codec.Receipt{Outcome: codec.Outcome{Code: codec.NotLeader, Leader: "n2", Term: 2}})
	require.Equal(t, codec.NotLeader, s.code("a"))
	require.Len(t, s.sent.letters, 3)
	require.EqualValues(t, []uint64{0, 1}, []uint64{s.sent.letters[1].Place, s.sent.letters[2].Place})
	s.take("d")
	s.rowOver(s.rows[7]) // of the patience that is not needed any more
	require.NotContains(t, s.told, "b")
	s.led("n3", 3)
	s.take("e")
	s.rowOver(s.rows[7])
	for _, name := range []string{"b", "c", "d"} {
		require.Equal(t, codec.Unknown, s.code(name), "n2 leads no more and says nothing")
	}
	require.Equal(t, codec.Unavailable, s.code("e"))
	require.Empty(t, s.ways)
}

// A row that its receiver does not go on with fails from there on for certain; what it
// took before is answered still.
func TestARefusedRowFailsFromThereOn(t *testing.T) {
	s := newShore(t)
	s.led("n1", 1)
	for _, name := range []string{"a", "b", "c"} {
		s.take(name)
	}
	row := s.sent.letters[0].Row
	s.answers(2, codec.Receipt{Row: row, Place: 1, Outcome: codec.Outcome{Code: codec.Unavailable}})
	require.Equal(t, codec.Unavailable, s.code("b"))
	require.Equal(t, codec.Unavailable, s.code("c"))
	require.NotContains(t, s.told, "a")
	s.take("d")
	require.Greater(t, s.sent.letters[3].Row, row)
	s.answers(0, codec.Receipt{Row: s.sent.letters[3].Row, Outcome: codec.Outcome{Code: codec.Unknown}}) // it came twice, late
	require.NotContains(t, s.told, "a")
	s.answers(0, codec.Receipt{})
	s.answers(3, codec.Receipt{})
	require.NoError(t, s.told["a"])
	require.NoError(t, s.told["d"])
}

// sights is a link that keeps what is told of logs.
type sights struct{ told []*codec.Sight }

func (l *sights) Send(_ codec.NodeID, parts [][]byte) {
	s, err := codec.ParseSight(parts[0])
	if err != nil {
		panic(err)
	}
	l.told = append(l.told, s)
}

// A replica that cannot be read says so to whoever asks: bounds of 0 and 0 would be those
// of an empty log.
func TestWhatCannotBeReadIsNotToldAsEmpty(t *testing.T) {
	s, link := newShore(t), &sights{}
	s.house.link = link
	h := newHandle(s.house, codec.TopicPartition{Topic: "t"}, "t-0")
	s.house.handles = func() map[codec.GroupID]*Handle { return map[codec.GroupID]*Handle{7: h} }
	for _, leads := range []bool{false, true} {
		h.publishState(state{open: leads, leader: leads, read: codec.Errorf(codec.CorruptLog, "damaged")})
		s.lookedAt(&lookedAt{"n1", &codec.Look{Group: 7, Kind: codec.LookAwait}})
		require.Equal(t, codec.CorruptLog, link.told[len(link.told)-1].Code)
	}
	s.lookedAt(&lookedAt{"n1", &codec.Look{Group: 7, Kind: codec.LookBounds}})
	require.Equal(t, codec.CorruptLog, link.told[len(link.told)-1].Code)
	s.readFor(&lookedAt{"n1", &codec.Look{Group: 7, Kind: codec.LookRead}}, h)
	require.Equal(t, codec.CorruptLog, link.told[len(link.told)-1].Code)
}

// A replica that has just come here, and leads, does not take a batch while one before it
// is on its way to another broker: it would overtake.
func TestAReplicaThatComesOvertakesNothing(t *testing.T) {
	s := newShore(t)
	s.house.ferry = s.self
	s.led("n1", 1)
	taken := func(f *Far) (here bool) {
		var w codec.Builder
		w.Append(7, nil, []byte("x"), nil)
		b, err := w.Build(codec.NoCompression)
		require.NoError(t, err)
		// The handle has no actor: what it is given it refuses at once.
		require.NoError(t, f.Produce(t.Context(), b, func(codec.Produced, error) { here = true }))
		return here
	}
	come := func(g codec.GroupID) *Far {
		h := newHandle(s.house, codec.TopicPartition{Topic: "t"}, "t/0")
		h.set.Store(&settings{messageBytesMax: 1 << 20})
		h.publishState(state{open: true, leader: true, lead: s.house.node, term: 2})
		return &Far{house: s.house, group: g, near: h}
	}
	require.False(t, taken(&Far{house: s.house, group: 7, bytesMax: 1 << 20}))
	require.False(t, taken(come(7)))
	require.True(t, taken(come(8)), "another group has nothing on its way")
}
