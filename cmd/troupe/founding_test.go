package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func of(n string) party {
	return party{Node: codec.NodeID(n), Link: n + ":9651", Disk: "disk of " + n}
}

var threeLinks = []string{"n1:9651", "n2:9651", "n3:9651"}

// TestAFoundersNextStep is the table of founding: what n2 does of n1, n2 and n3.
func TestAFoundersNextStep(t *testing.T) {
	empty := func(n string) heard {
		return heard{standing: &standing{Stage: stageEmpty, Member: of(n), Join: threeLinks}}
	}
	rec := &record{Cluster: "c1", Members: []party{of("n1"), of("n2"), of("n3")}}
	other := &record{Cluster: "c2", Members: rec.Members}
	recorded := func(n string, r *record) heard {
		return heard{standing: &standing{Stage: stageRecorded, Member: of(n), Join: threeLinks, Record: r}}
	}
	belongs := func(n, c string) heard {
		return heard{standing: &standing{Stage: stageMember, Member: of(n), Cluster: c}}
	}
	changed := func(h heard, do func(*standing)) heard { do(h.standing); return h }
	gone := heard{err: errors.New("nobody listens there")}
	for what, c := range map[string]struct {
		kept   *record
		n1, n3 heard
		want   string
	}{
		"all are empty: the lowest draws": {nil, empty("n1"), empty("n3"), "waits for n1:9651 (node \"n1\" draws the record)"},
		"one does not answer":             {nil, empty("n1"), gone, "waits for n3:9651 (nobody listens there)"},
		"nobody answers":                  {nil, gone, gone, "waits for n1:9651 (nobody listens there) n3:9651 (nobody listens there)"},
		"somebody has a record":           {nil, recorded("n1", rec), gone, "keeps c1"},
		"a cluster is there":              {nil, belongs("n1", "c9"), gone, "joins"},
		"one has not kept it":             {rec, recorded("n1", rec), empty("n3"), "waits for n3:9651 (it has not kept the record yet)"},
		"all have kept it":                {rec, recorded("n1", rec), recorded("n3", rec), "starts c1"},
		"one has started":                 {rec, belongs("n1", "c1"), gone, "starts c1"},
		"one has kept it, one is away":    {rec, recorded("n1", rec), gone, "waits for n3:9651 (nobody listens there)"},
		"another record":                  {rec, recorded("n1", other), gone, "refuses: keeps the record of another cluster to be"},
		"two records":                     {nil, recorded("n1", rec), recorded("n3", other), "keeps c1"},
		"another cluster":                 {rec, belongs("n1", "c2"), gone, "refuses: belongs to cluster c2, and this directory keeps the record of another"},
		"two are one node":                {nil, empty("n1"), changed(empty("n3"), func(s *standing) { s.Member.Node = "n1" }), "refuses: the brokers at n1:9651 and n3:9651 are both node \"n1\""},
		"one has this one's name":         {nil, gone, changed(empty("n3"), func(s *standing) { s.Member.Node = "n2" }), "refuses: is node \"n2\" as well"},
		"other flags":                     {nil, gone, changed(empty("n3"), func(s *standing) { s.Join = threeLinks[1:] }), "refuses: has --join n2:9651,n3:9651, and this one n1:9651,n2:9651,n3:9651"},
		"one founds nothing":              {nil, gone, changed(empty("n3"), func(s *standing) { s.Join = nil }), "refuses: has --join without its own address, or none"},
		"an address with another":         {nil, gone, changed(empty("n3"), func(s *standing) { s.Member.Link = "x:1" }), "refuses: says that it is reached at \"x:1\""},
		"a record of others":              {nil, gone, recorded("n3", &record{Cluster: "c3", Members: []party{of("n3"), of("n4")}}), "refuses: founds a cluster of n3:9651,n4:9651"},
		"a record of another disk here":   {nil, gone, recorded("n3", &record{Cluster: "c3", Members: []party{of("n1"), {"n2", "n2:9651", "lost"}, of("n3")}}), "refuses: another data directory"},
		"a disk was replaced there":       {rec, gone, changed(empty("n3"), func(s *standing) { s.Member.Disk = "new" }), "refuses: node \"n3\" at n3:9651 has lost the data directory"},
		"this one has another address":    {&record{Cluster: "c1", Members: []party{of("n1"), {"n2", "old:1", "disk of n2"}}}, gone, gone, "refuses: node \"n2\" is not at n2:9651"},
		"other keys of the gossip":        {nil, gone, changed(empty("n3"), func(s *standing) { s.Keys = prints{"theirs"} }), "refuses: the broker at n3:9651 has other keys of the gossip"},
		"a clone":                         {nil, heard{err: codec.Errorf(codec.Clone, "this is node n2 as well")}, gone, "refuses: this is node n2 as well"},
	} {
		f := &founder{self: of("n2"), list: threeLinks, kept: c.kept, keys: prints{"ours"}}
		got := f.next(map[string]heard{"n1:9651": c.n1, "n3:9651": c.n3}).text()
		if refused, ok := cutRefusal(c.want); ok {
			require.Contains(t, got, "refuses: ", what)
			require.Contains(t, got, refused, what)
			continue
		}
		require.Equal(t, c.want, got, what)
	}
	lowest := &founder{self: of("n1"), list: threeLinks}
	require.Equal(t, "draws", lowest.next(map[string]heard{"n2:9651": empty("n2"), "n3:9651": empty("n3")}).text())
	alone := &founder{self: of("n1"), list: threeLinks[:1]}
	require.Equal(t, "draws", alone.next(nil).text())
}

func cutRefusal(want string) (string, bool) {
	if len(want) > 9 && want[:9] == "refuses: " {
		return want[9:], true
	}
	return "", false
}

// text is a step for comparing.
func (s move) text() string {
	switch {
	case s.refuse != nil:
		return "refuses: " + s.refuse.Error()
	case s.join:
		return "joins"
	case s.start != nil:
		return "starts " + s.start.Cluster
	case s.keep != nil:
		return "keeps " + s.keep.Cluster
	case s.draw:
		return "draws"
	}
	text := "waits for"
	for _, w := range s.wait {
		text += " " + w
	}
	return text
}

// founding is brokers that found a cluster, one step at a time in an order from a
// seed, with processes that die between any two and disks that are lost.
type founding struct {
	*testing.T
	rng     *rand.Rand
	links   []string
	brokers map[string]*candidate
	started map[string][]string // cluster → who has started as its founder
	drawn   int
}

// candidate is a broker: what its disk keeps, and what its process knows.
type candidate struct {
	self   party
	kept   *record
	member string // the cluster that it belongs to
	disks  int

	up      bool
	refused error
	said    map[string]heard
	asked   int
}

func (s *founding) turn(b *candidate) {
	f := &founder{self: b.self, list: s.links, kept: b.kept}
	if others := f.others(); b.asked < len(others) {
		a := others[b.asked]
		b.asked++
		b.said[a] = s.ask(a)
		return
	}
	next := f.next(b.said)
	switch said := b.said; {
	case next.refuse != nil:
		b.refused, b.up = next.refuse, false
	case next.draw:
		s.drawn++
		b.kept = f.record(codec.UUID{byte(s.drawn)}, said)
	case next.keep != nil:
		b.kept = next.keep
	case next.start != nil:
		b.member = next.start.Cluster
		s.start(b, next.start)
	case next.join:
		b.refused, b.up = errors.New("its name is taken"), false // all names of the list are founders'
	}
	b.said, b.asked = map[string]heard{}, 0
}

func (s *founding) ask(a string) heard {
	b := s.brokers[a]
	switch {
	case !b.up:
		return heard{err: errors.New("nobody listens there")}
	case b.member != "":
		return heard{standing: &standing{Stage: stageMember, Member: b.self, Cluster: b.member}}
	}
	st := (&founder{self: b.self, list: s.links, kept: b.kept}).standing()
	return heard{standing: &st}
}

// start is what must hold: one cluster, and all of its members have kept its record, on
// the disk that it names or one that is lost by now.
func (s *founding) start(b *candidate, r *record) {
	require.Contains(s, r.Members, b.self)
	s.started[r.Cluster] = append(s.started[r.Cluster], string(b.self.Node))
	require.Len(s, s.started, 1, "two clusters")
	for _, m := range r.Members {
		if o := s.brokers[m.Link]; o.self == m {
			require.NotNil(s, o.kept, "%s started, and %s has kept nothing", b.self.Node, m.Node)
			require.True(s, o.kept.same(r))
		}
	}
}

func (s *founding) revive(b *candidate) {
	b.up, b.refused, b.said, b.asked = true, nil, map[string]heard{}, 0
}

func (s *founding) lose(b *candidate) {
	b.disks++
	b.kept, b.member, b.up = nil, "", false
	b.self.Disk = fmt.Sprintf("disk %d of %s", b.disks, b.self.Node)
}

func foundingOf(t *testing.T, seed uint64, n int) *founding {
	s := &founding{T: t, rng: rand.New(rand.NewPCG(seed, 1)), brokers: map[string]*candidate{}, started: map[string][]string{}}
	for i := range n {
		m := of(fmt.Sprintf("n%d", i+1))
		s.links = append(s.links, m.Link)
		s.brokers[m.Link] = &candidate{self: m}
		s.revive(s.brokers[m.Link])
	}
	return s
}

// TestManyFoundings plays foundings with kills at every step: never two clusters,
// as long as one disk of them lives; never one of which a member knows nothing; and as soon as nobody dies any more, all start.
func TestManyFoundings(t *testing.T) {
	clusters := 0
	for seed := range uint64(3000) {
		s := foundingOf(t, seed, 2+int(seed%4))
		lossy := seed%3 == 0
		for range 400 {
			b := s.brokers[s.links[s.rng.IntN(len(s.links))]]
			switch p := s.rng.IntN(100); {
			case p < 6:
				b.up = false
			case lossy && p == 6 && b.self.Link != s.links[seed%uint64(len(s.links))]: // with all of them gone it is another beginning
				s.lose(b)
			case !b.up && p < 40:
				s.revive(b)
			case b.up && b.member == "":
				s.turn(b)
			}
		}
		if lossy {
			continue
		}
		for _, b := range s.brokers {
			if !b.up {
				s.revive(b)
			}
		}
		for range 200 {
			for _, a := range s.links {
				if b := s.brokers[a]; b.member == "" && b.up {
					s.turn(b)
				}
			}
		}
		for _, b := range s.brokers {
			require.NoError(t, b.refused, "seed %d", seed)
			require.NotEmpty(t, b.member, "seed %d: %s has not started", seed, b.self.Node)
		}
		clusters += len(s.started)
	}
	require.Equal(t, 2000, clusters)
}

// A record is kept once, whole, and noticed when it is damaged.
func TestARecordIsKept(t *testing.T) {
	fs, dir := osFS, t.TempDir()
	name := filepath.Join(dir, recordName)
	none, err := readKept[record](fs, name)
	require.NoError(t, err)
	require.Nil(t, none)
	want := record{Cluster: "c", Members: []party{of("n1"), of("n2")}}
	require.NoError(t, writeKept(fs, name, want))
	got, err := readKept[record](fs, name)
	require.NoError(t, err)
	require.True(t, want.same(got))
	spoil(t, dir, recordName, "n2:9651", "n3:9651")
	_, err = readKept[record](fs, name)
	require.ErrorContains(t, err, "its checksum does not hold")

	draws := 0
	draw := func() codec.UUID { draws++; return codec.UUID{byte(draws)} }
	one, err := diskOf(fs, dir, draw)
	require.NoError(t, err)
	again, err := diskOf(fs, dir, draw)
	require.NoError(t, err)
	require.Equal(t, one, again)
	require.Equal(t, 1, draws)
	require.True(t, slices.Contains([]codec.UUID{{1}}, one))
}

// Only what belongs to no cluster may be emptied: the addresses of others are kept by a
// directory that has records, too.
func TestDamagedAddressesAreNoReasonToEmptyADirectory(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, peersName)
	require.NoError(t, writeKept(osFS, name, map[codec.NodeID]string{"n2": "n2:9651"}))
	spoil(t, dir, peersName, "n2:9651", "n3:9651")
	_, err := readKept[map[codec.NodeID]string](osFS, name)
	require.ErrorContains(t, err, "its checksum does not hold")
	require.NotContains(t, err.Error(), "empty the data directory")

	_, err = diskOf(osFS, dir, newUUID)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, diskName), []byte("{"), 0o600))
	_, err = diskOf(osFS, dir, newUUID)
	require.ErrorContains(t, err, "empty the data directory, for it belongs to no cluster yet")
}

// From its first answer on a broker says what its directory is: one that said "empty"
// while it starts would have others found a cluster without its own.
func TestNobodySaysThatItIsEmptyWhileItStarts(t *testing.T) {
	dir := t.TempDir()
	n, err := startNode(t.Context(), serveConfig{Data: dir, Node: "n1", Listen: "127.0.0.1:0"}, quiet())
	require.NoError(t, err)
	cluster, _ := n.broker.Identity()
	require.NoError(t, n.stop())
	l, err := openLink(&serveConfig{Data: dir, Link: "127.0.0.1:0"}, func(string, ...any) {})
	require.NoError(t, err)
	defer l.close()
	require.Equal(t, stageMember, l.stands.Load().Stage)
	require.Equal(t, cluster.String(), l.stands.Load().Cluster)

	dir = t.TempDir()
	require.NoError(t, writeKept(osFS, filepath.Join(dir, recordName), record{Cluster: "c", Members: []party{of("n1"), of("n2")}}))
	k, err := openLink(&serveConfig{Data: dir, Node: "n1", Link: "127.0.0.1:0"}, func(string, ...any) {})
	require.NoError(t, err)
	defer k.close()
	require.Equal(t, stageRecorded, k.stands.Load().Stage)
	require.Equal(t, "c", k.stands.Load().Record.Cluster)
}

// Who keeps a record founds no other cluster, not even when it is started without any
// word of others: those may have begun already.
func TestARecordKeepsFromFoundingAlone(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, writeKept(osFS, filepath.Join(dir, recordName), record{Cluster: "c", Members: []party{of("n1"), of("n2")}}))
	n, err := startNode(t.Context(), serveConfig{Data: dir, Node: "n1", Listen: "127.0.0.1:0"}, quiet())
	if err == nil {
		require.NoError(t, n.stop())
	}
	require.ErrorContains(t, err, "start it with the same --join as before")
}
