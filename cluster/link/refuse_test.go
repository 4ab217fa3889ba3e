package link

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// Each kind of stranger is told the code and what to do instead.
func TestRefusals(t *testing.T) {
	self := Self{Cluster: ours, Node: "n1", Disk: codec.UUID{1}, Address: "n1:9651"}
	joining := self
	joining.Cluster = codec.UUID{}
	good := func() *codec.Greeting {
		return Self{Cluster: ours, Node: "n2", Disk: codec.UUID{2}, Address: "n2:9651"}.greeting(7, codec.PurposeControl, "n1")
	}
	broker := codec.Identity{Role: codec.RoleBroker, Name: "n2"}
	none := codec.UUID{}
	service := func(g *codec.Greeting) {
		g.Role, g.Purpose, g.To = codec.RoleService, codec.PurposeService, ""
	}
	for name, c := range map[string]struct {
		self   Self
		change func(*codec.Greeting)
		secure bool
		shown  *codec.Identity
		bad    error
		want   codec.Code
		says   string
	}{
		"a peer":               {self: self},
		"a peer's other lane":  {self: self, change: func(g *codec.Greeting) { g.Purpose = codec.PurposeBulk }},
		"who means anybody":    {self: self, change: func(g *codec.Greeting) { g.To = "" }},
		"a later version too":  {self: self, change: func(g *codec.Greeting) { g.VersionMax = 9 }},
		"with its certificate": {self: self, secure: true, shown: &broker},

		"other cluster":         {self: self, change: func(g *codec.Greeting) { g.Cluster = theirs }, want: codec.OtherCluster, says: "joins with an empty data directory"},
		"other cluster asks":    {self: self, change: func(g *codec.Greeting) { g.Cluster, g.Purpose = theirs, codec.PurposeQuestions }, want: codec.OtherCluster},
		"none yet, here":        {self: joining, want: codec.NoCluster, says: `node "n1" belongs to no cluster yet`},
		"none yet, there":       {self: self, change: func(g *codec.Greeting) { g.Cluster = none }, want: codec.NoCluster, says: "it has to join first"},
		"none yet, there, asks": {self: self, change: func(g *codec.Greeting) { g.Cluster, g.Purpose = none, codec.PurposeQuestions }},
		"none yet, here, asked": {self: joining, change: func(g *codec.Greeting) { g.Purpose = codec.PurposeQuestions }},
		"wrong node":            {self: self, change: func(g *codec.Greeting) { g.To = "n3" }, want: codec.WrongNode, says: `node "n1" is here, and "n3" was dialled: correct the address`},
		"itself":                {self: self, change: func(g *codec.Greeting) { g.Node, g.Life = "n1", 1 }, want: codec.WrongNode, says: "dialled itself"},
		"itself, asking":        {self: self, change: func(g *codec.Greeting) { g.Node, g.Life, g.Purpose = "n1", 1, codec.PurposeQuestions }},
		"a clone":               {self: self, change: func(g *codec.Greeting) { g.Node = "n1" }, want: codec.Clone, says: "a name and a data directory of its own"},
		"a clone, asking":       {self: self, change: func(g *codec.Greeting) { g.Node, g.Purpose = "n1", codec.PurposeQuestions }, want: codec.Clone},
		"old version":           {self: self, change: func(g *codec.Greeting) { g.VersionMin, g.VersionMax = 0, 0 }, want: codec.VersionUnknown, says: "update the older"},
		"later versions only":   {self: self, change: func(g *codec.Greeting) { g.VersionMin, g.VersionMax = 2, 3 }, want: codec.VersionUnknown},
		"a service":             {self: self, change: service},
		"a service of our name": {self: self, change: func(g *codec.Greeting) { service(g); g.Node = "n1" }},
		"a service, any":        {self: self, change: func(g *codec.Greeting) { service(g); g.Cluster = none }},
		"a service, and none":   {self: joining, change: service, want: codec.NoCluster},
		"another's service":     {self: self, change: func(g *codec.Greeting) { service(g); g.Cluster = theirs }, want: codec.OtherCluster, says: "correct the addresses"},
		"an old service":        {self: self, change: func(g *codec.Greeting) { service(g); g.VersionMin, g.VersionMax = 0, 0 }, want: codec.VersionUnknown},
		"a broker as a service": {self: self, change: func(g *codec.Greeting) { g.Purpose = codec.PurposeService }, want: codec.Denied, says: "purpose \"service\" is for services"},
		"a client as a service": {self: self, change: func(g *codec.Greeting) { service(g); g.Role = codec.RoleClient }, want: codec.Denied},
		"a service asks":        {self: self, change: func(g *codec.Greeting) { service(g); g.Purpose = codec.PurposeQuestions }, want: codec.Denied, says: "for brokers"},
		"a service, bulk":       {self: self, change: func(g *codec.Greeting) { service(g); g.Purpose = codec.PurposeBulk }, want: codec.Denied, says: "for brokers"},
		"a service on a lane":   {self: self, change: func(g *codec.Greeting) { g.Role = codec.RoleService }, want: codec.Denied, says: "for brokers"},
		"a client asks":         {self: self, change: func(g *codec.Greeting) { g.Role, g.Purpose = codec.RoleClient, codec.PurposeQuestions }, want: codec.Denied},
		"no purpose":            {self: self, change: func(g *codec.Greeting) { g.Purpose = "" }, want: codec.OpUnknown},

		"no certificate":             {self: self, secure: true, want: codec.AuthRequired, says: "troupe certs node"},
		"no certificate, other too":  {self: self, secure: true, change: func(g *codec.Greeting) { g.Cluster = theirs }, want: codec.AuthRequired},
		"a nameless certificate":     {self: self, secure: true, bad: errors.New("no name"), want: codec.AuthFailed, says: "no name"},
		"another's certificate":      {self: self, secure: true, shown: &codec.Identity{Role: codec.RoleBroker, Name: "n3"}, want: codec.AuthFailed, says: "troupe://broker/n3"},
		"a service's, as a broker":   {self: self, secure: true, shown: &codec.Identity{Role: codec.RoleService, Name: "n2"}, want: codec.Denied, says: "troupe://service/n2, which may not speak as a broker"},
		"a client's, as a broker":    {self: self, secure: true, shown: &codec.Identity{Role: codec.RoleClient, Name: "n2"}, want: codec.Denied},
		"a service's, as it is":      {self: self, secure: true, shown: &codec.Identity{Role: codec.RoleService, Name: "n2"}, change: func(g *codec.Greeting) { g.Role = codec.RoleService }, want: codec.Denied},
		"a service's, attaching":     {self: self, secure: true, shown: &codec.Identity{Role: codec.RoleService, Name: "n2"}, change: service},
		"a service with none":        {self: self, secure: true, change: service, want: codec.AuthRequired, says: "--service"},
		"a broker's, attaching":      {self: self, secure: true, shown: &broker, change: service, want: codec.Denied, says: "may not speak as a service"},
		"a client's, attaching":      {self: self, secure: true, shown: &codec.Identity{Role: codec.RoleClient, Name: "n2"}, change: service, want: codec.Denied},
		"another's, attaching":       {self: self, secure: true, shown: &codec.Identity{Role: codec.RoleService, Name: "n3"}, change: service, want: codec.AuthFailed},
		"a certificate and no TLS":   {self: self, shown: &codec.Identity{Role: codec.RoleBroker, Name: "n3"}},
		"a broker's, and it asks":    {self: self, secure: true, shown: &broker, change: func(g *codec.Greeting) { g.Purpose = codec.PurposeQuestions }},
		"a broker's, other cluster":  {self: self, secure: true, shown: &broker, change: func(g *codec.Greeting) { g.Cluster = theirs }, want: codec.OtherCluster},
		"a broker's, name and blank": {self: self, secure: true, shown: &codec.Identity{Role: codec.RoleBroker, Name: "n2"}, change: func(g *codec.Greeting) { g.Node = "n2 " }, want: codec.AuthFailed},
	} {
		g := good()
		if c.change != nil {
			c.change(g)
		}
		err := refusal(c.self, 1, claim{Greeting: g, secure: c.secure, shown: c.shown, bad: c.bad})
		if c.want == codec.OK {
			require.Nil(t, err, name)
			continue
		}
		require.NotNil(t, err, name)
		require.Equal(t, c.want, err.Code, "%s: %v", name, err)
		require.Contains(t, err.Message, c.says, name)
	}
}

// A refusal reaches who was refused, with its sentence; it is told in Status
// on both sides, and logged once on each, however often it is dialled.
func TestARefusalIsToldAndLoggedOnce(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		one := s.start("n1", nil)
		two := s.start("n2", func(c *Config) { c.Self.Cluster = theirs })
		two.SetPeers(map[codec.NodeID]string{"n1": addressOf("n1")})
		one.SetPeers(map[codec.NodeID]string{"n3": addressOf("n2")})
		s.pass(time.Minute)
		p := two.peer("n1").Control
		require.Equal(t, Refused, p.State)
		require.Contains(t, p.Trouble, "OTHER_CLUSTER: node \"n1\" is of cluster 01000000-")
		require.Contains(t, one.peer("n3").Bulk.Trouble, "WRONG_NODE: node \"n2\" is here, and \"n3\" was dialled")
		require.Greater(t, s.net.dialled(addressOf("n1")), 10)
		require.Less(t, s.net.dialled(addressOf("n1")), 60, "a person has to mend it: the pauses are longer")

		r := one.Status().Refusals
		require.Len(t, r, 1)
		require.Equal(t, "n2 (n2)", r[0].Who)
		require.Equal(t, codec.OtherCluster, r[0].Code)
		require.Greater(t, r[0].Count, uint64(10))
		require.Len(t, one.logged(), 2, "refused n2, cannot reach n3")
		require.Len(t, two.logged(), 2)
		require.Empty(t, append(one.loses(), two.loses()...))

		s.kill("n2")
		two = s.start("n2", nil)
		two.SetPeers(map[codec.NodeID]string{"n1": addressOf("n1")})
		s.pass(time.Second)
		require.Equal(t, Up, two.peer("n1").Control.State)
		require.Empty(t, two.peer("n1").Control.Trouble)
	})
}

// Of two processes that are the same node the one that was there stays, as long
// as it lives; when it has ended the other may be that node.
func TestOfTwoClonesTheFirstStays(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		list := s.all("n1", "n2")
		s.pass(time.Minute)
		life := list[0].peer("n2").Life
		clone := &player{host: "clone"}
		clone.Link = New(Config{
			Self: Self{Cluster: ours, Node: "n2", Disk: codec.UUID{9, 15: '2'}, Address: "clone:9651"}, Listener: s.net.listen("clone:9651"), Dial: s.net.dialFrom("clone"),
		})
		s.players["clone"] = clone
		clone.SetPeers(map[codec.NodeID]string{"n1": addressOf("n1")})
		s.pass(time.Minute)
		require.Contains(t, clone.peer("n1").Control.Trouble, "CLONE: node \"n2\" is another process, at n2:9651")
		require.Equal(t, life, list[0].peer("n2").Life)
		require.Empty(t, list[0].loses())
		require.Equal(t, Up, list[0].peer("n2").Control.State)

		// The clone and the first one know each other for what they are.
		_, err := s.dial(addressOf("n2"), Self{Cluster: ours, Node: "n2"}.greeting(3, codec.PurposeControl, ""))
		require.ErrorIs(t, err, codec.E(codec.Clone))

		// An address that leads to the clone leads to nobody.
		list[0].SetPeers(map[codec.NodeID]string{"n2": "clone:9651"})
		s.pass(time.Minute)
		require.Contains(t, list[0].peer("n2").Control.Trouble, "CLONE")
		require.Empty(t, list[0].loses())

		s.kill("n2")
		s.pass(10 * time.Second)
		require.Equal(t, Up, list[0].peer("n2").Control.State)
		require.Equal(t, clone.life, list[0].peer("n2").Life)
		require.Equal(t, []codec.NodeID{"n2"}, list[0].loses())
	})
}

// Nor is a clone believed that only asks: others would be sent to it, and dial it
// instead of the one that lives. When that one has ended, it is.
func TestACloneAsksInVain(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		asked := 0
		one := s.start("n1", func(c *Config) { c.Answer = func(Peer, []byte) []byte { asked++; return []byte("!") } })
		two := s.start("n2", nil)
		one.SetPeers(map[codec.NodeID]string{"n2": addressOf("n2")})
		s.pass(time.Minute)
		ask := func(change func(*Self)) error {
			self := two.self()
			self.Address = "clone:9651"
			change(&self)
			_, _, err := Asker{Self: self, Life: 3, Dial: s.net.dialFrom("clone")}.Question(t.Context(), addressOf("n1"), []byte("?"))
			return err
		}
		same := func(*Self) {}
		require.ErrorContains(t, ask(same), `CLONE: node "n2" is another process, at n2:9651`)
		require.Zero(t, asked)
		require.NoError(t, ask(func(s *Self) { s.Cluster = codec.UUID{} }), "who wants to join is told more, by who decides that")
		require.NoError(t, ask(func(s *Self) { s.Node = "n3" }))
		s.kill("n2")
		s.pass(time.Second)
		require.NoError(t, ask(same))
		require.Equal(t, 3, asked)
	})
}

// A process that was put aside by another does not come back.
func TestAFormerProcessStaysAway(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		one := s.start("n1", nil)
		s.net.set(func() { s.net.holes[addressOf("n2")] = true })
		one.SetPeers(map[codec.NodeID]string{"n2": addressOf("n2")})
		self := Self{Cluster: ours, Node: "n2", Address: "n2:9651"}
		first, err := s.dial(addressOf("n1"), self.greeting(7, codec.PurposeControl, "n1"))
		require.NoError(t, err)
		second, err := s.dial(addressOf("n1"), self.greeting(8, codec.PurposeControl, "n1"))
		require.NoError(t, err)
		s.pass(time.Millisecond)
		_, err = first.Read(make([]byte, 1))
		require.Error(t, err, "it was closed")
		_, err = s.dial(addressOf("n1"), self.greeting(7, codec.PurposeControl, "n1"))
		require.ErrorIs(t, err, codec.E(codec.Clone))
		require.Equal(t, []codec.NodeID{"n2"}, one.loses())
		require.EqualValues(t, 8, one.peer("n2").Life)
		first.Close()

		go second.Write([]byte{0xff, 0xff, 0xff, 0xff})
		second.want(4) // it is here
		s.pass(time.Millisecond)
		require.Equal(t, []codec.NodeID{"n2"}, one.loses())
		_, err = s.dial(addressOf("n1"), self.greeting(8, codec.PurposeBulk, "n1"))
		require.ErrorIs(t, err, codec.E(codec.Clone), "who said goodbye has ended")
		second.Close()
	})
}

// A broker that belongs to no cluster sends and takes no letters; when it has
// learned which one, all goes on at once.
func TestAClusterIsLearned(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		one := s.start("n1", nil)
		two := s.start("n2", func(c *Config) { c.Self.Cluster = codec.UUID{} })
		one.SetPeers(map[codec.NodeID]string{"n2": addressOf("n2")})
		two.SetPeers(map[codec.NodeID]string{"n1": addressOf("n1")})
		s.pass(10 * time.Second)
		require.Contains(t, one.peer("n2").Control.Trouble, "NO_CLUSTER")
		require.Contains(t, two.peer("n1").Control.Trouble, "belongs to no cluster yet")
		require.Zero(t, s.net.dialled(addressOf("n1")))
		require.NoError(t, two.SetCluster(ours))
		require.NoError(t, two.SetCluster(ours))
		require.ErrorContains(t, two.SetCluster(theirs), "cannot be of")
		s.pass(2 * time.Second)
		two.say("n1", "here")
		one.say("n2", "there")
		s.pass(time.Millisecond)
		require.Equal(t, []string{"n2: here"}, one.hears())
		require.Equal(t, []string{"n1: there"}, two.hears())
	})
}

func TestQuestions(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		one := s.start("n1", func(c *Config) {
			c.Self.Cluster = codec.UUID{}
			c.Answer = func(from Peer, q []byte) []byte {
				switch string(q) {
				case "nothing":
					return nil
				case "long":
					return make([]byte, QuestionBytes)
				case "too long":
					return make([]byte, QuestionBytes+1)
				}
				return []byte("to " + string(from.Node) + " at " + from.Address + ": " + strings.ToUpper(string(q)))
			}
		})
		asker := Asker{Self: Self{Node: "n2", Address: "n2:9651"}, Life: 3, Dial: s.net.dialFrom("n2")}
		peer, answer, err := asker.Question(t.Context(), addressOf("n1"), []byte("who are you?"))
		require.NoError(t, err)
		require.Equal(t, "to n2 at n2:9651: WHO ARE YOU?", string(answer))
		require.Equal(t, Peer{Node: "n1", Disk: codec.UUID{9, 15: '1'}, Life: one.life, Address: addressOf("n1")}, peer)

		_, answer, err = one.Asker().Question(t.Context(), addressOf("n1"), []byte("myself"))
		require.NoError(t, err, "the list of whom to ask is the same everywhere")
		require.Contains(t, string(answer), "MYSELF")

		_, answer, err = asker.Question(t.Context(), addressOf("n1"), []byte("long"))
		require.NoError(t, err)
		require.Len(t, answer, QuestionBytes)
		for _, q := range []string{"nothing", "too long"} {
			_, _, err = asker.Question(t.Context(), addressOf("n1"), []byte(q))
			require.ErrorContains(t, err, "it closed the connection", q)
		}
		_, _, err = asker.Question(t.Context(), addressOf("n1"), nil)
		require.ErrorContains(t, err, "want 1 to")
		_, _, err = asker.Question(t.Context(), "n7:1", []byte("nobody?"))
		require.ErrorContains(t, err, "ask n7:1: nobody listens there")

		two := s.start("n2", nil)
		_, _, err = asker.Question(t.Context(), addressOf("n2"), []byte("a clone?"))
		require.ErrorIs(t, err, codec.E(codec.Clone))
		asker.Self.Node = "n3"
		_, _, err = asker.Question(t.Context(), addressOf("n2"), []byte("anybody?"))
		require.ErrorIs(t, err, codec.E(codec.OpUnknown), "it answers none")
		asker.Self.Cluster = theirs
		_, _, err = asker.Question(t.Context(), addressOf("n2"), []byte("anybody?"))
		require.ErrorIs(t, err, codec.E(codec.OtherCluster))
		require.Len(t, two.Status().Refusals, 2)

		// One that does not answer is given up.
		l := s.net.listen("mute:1")
		asked := make(chan puppet)
		go func() { asked <- s.accept(l, Self{Node: "mute"}, 5) }()
		began := time.Now()
		done := make(chan error)
		go func() {
			_, _, err := asker.Question(t.Context(), "mute:1", []byte("hm?"))
			done <- err
		}()
		mute := <-asked
		mute.want(7)
		require.ErrorContains(t, <-done, "nobody answers there in time")
		require.Equal(t, questionWithin, time.Since(began))
		mute.Close()
		l.Close()
	})
}

// Those who ask and go on asking, or ask nothing, are bounded too.
func TestQuestionsAreBounded(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		one := s.start("n1", func(c *Config) { c.Answer = func(_ Peer, q []byte) []byte { return q } })
		var open []puppet
		for i := range questionsMax + 1 {
			p, err := s.dial(addressOf("n1"), Self{Node: "n2"}.greeting(uint64(i), codec.PurposeQuestions, ""))
			if i == questionsMax {
				require.ErrorIs(t, err, codec.E(codec.Overloaded))
			} else {
				require.NoError(t, err)
			}
			open = append(open, p)
		}
		open[0].put([]byte{0, 0, 0, 2, 'h', 'i'})
		require.Equal(t, []byte{0, 0, 0, 2, 'h', 'i'}, open[0].want(6))
		go open[1].Write([]byte{0, 0x10, 0, 1, 'x'}) // a byte more than may be
		s.pass(questionWithin - time.Millisecond)
		one.Link.mu.Lock()
		require.Equal(t, questionsMax-1, one.questions)
		one.Link.mu.Unlock()
		s.pass(time.Second)
		one.Link.mu.Lock()
		require.Zero(t, one.questions)
		one.Link.mu.Unlock()
		for _, p := range open {
			p.Close()
		}
	})
}

// Who comes to the wrong door is told so.
func TestTheWrongDoor(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		s.start("n1", nil)
		c, err := s.net.dialFrom("client")(t.Context(), addressOf("n1"))
		require.NoError(t, err)
		puppet{t, c}.put([]byte(codec.Magic))
		frame, err := codec.NewFrameReader(c, codec.FrameMax).Read(nil)
		require.NoError(t, err)
		require.Contains(t, string(frame), "clients go to another port")
		c.Close()

		c, err = s.net.dialFrom("browser")(t.Context(), addressOf("n1"))
		require.NoError(t, err)
		puppet{t, c}.put([]byte("GET "))
		frame, err = codec.NewFrameReader(c, codec.FrameMax).Read(nil)
		require.NoError(t, err)
		_, err = codec.ParseGreeted(frame)
		require.ErrorContains(t, err, `the connection begins with "GET "`)
		c.Close()
		s.pass(time.Second)
	})
}

// Who dials the port of clients is told so, not that a map was wanted.
func TestWhoDialsTheClientsPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.ReadFull(c, make([]byte, len(codec.LinkMagic)))
		_, _ = c.Write(codec.EncodeError(nil, codec.ConnectionID, codec.Errorf(codec.Malformed, "connection opens with %q: want %q", codec.LinkMagic, codec.Magic)).Bytes())
		_, _ = io.Copy(io.Discard, c)
	}()
	_, err = Caller{Name: "billing"}.Attach(t.Context(), l.Addr().String())
	require.ErrorIs(t, err, codec.E(codec.Malformed))
	require.ErrorContains(t, err, "that is where clients come in: links are dialled at another port, 9651 by default")

	// With TLS too: clients have another name in ALPN.
	a := newAuthority(t)
	secure, err := tls.Listen("tcp", "127.0.0.1:0", a.credentials(codec.RoleBroker, "n1").Server("troupe/1"))
	require.NoError(t, err)
	defer secure.Close()
	go func() {
		c, err := secure.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.(*tls.Conn).Handshake()
	}()
	_, err = Caller{Name: "billing", TLS: a.credentials(codec.RoleService, "billing")}.Attach(t.Context(), secure.Addr().String())
	require.ErrorContains(t, err, "no link is there: clients are at one port, and links at another, 9651 by default")
}

// A broker of another cluster that has the same name is no clone of this one: who dials a
// place where it once had a peer must not end for it.
func TestANamesakeOfAnotherClusterIsNoClone(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		s.start("n2", func(c *Config) {
			c.Self.Cluster, c.Answer = codec.UUID{8}, func(_ Peer, q []byte) []byte { return q }
		})
		self := Self{Cluster: ours, Node: "n2", Disk: codec.UUID{5}, Address: "elsewhere:9651"}
		_, _, err := Asker{Self: self, Life: 3, Dial: s.net.dialFrom("elsewhere")}.Question(t.Context(), addressOf("n2"), []byte("?"))
		require.Equal(t, codec.OtherCluster, codec.CodeOf(err), "%v", err)
		self.Cluster = codec.UUID{}
		_, _, err = Asker{Self: self, Life: 3, Dial: s.net.dialFrom("elsewhere")}.Question(t.Context(), addressOf("n2"), []byte("?"))
		require.Equal(t, codec.Clone, codec.CodeOf(err), "who wants to join there has to have another name: %v", err)
	})
}
