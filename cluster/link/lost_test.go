package link

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// A process that is killed is lost at once, and once; that nobody listens at
// an address where nobody ever did says nothing.
func TestAKilledProcessIsLostOnce(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		list := s.all("n1", "n2")
		list[0].SetPeers(map[codec.NodeID]string{"n2": addressOf("n2"), "n9": addressOf("n9")})
		s.pass(10 * time.Second)
		s.kill("n2")
		s.pass(50 * time.Millisecond)
		require.Equal(t, []codec.NodeID{"n2"}, list[0].loses())
		s.pass(time.Hour)
		require.Empty(t, list[0].loses(), "neither again, nor n9")
		p := list[0].peer("n2")
		require.True(t, p.Lost)
		require.Equal(t, Waiting, p.Control.State)
		require.Contains(t, p.Control.Trouble, "nobody listens there")
		require.Less(t, s.net.dialled(addressOf("n9")), 2*3600*3, "dials are spread")
		require.Greater(t, s.net.dialled(addressOf("n9")), 3600, "and go on")

		again := s.start("n2", nil)
		again.SetPeers(map[codec.NodeID]string{"n1": addressOf("n1")})
		s.pass(2 * time.Second)
		list[0].say("n2", "welcome back")
		s.pass(time.Millisecond)
		require.Equal(t, []string{"n1: welcome back"}, again.hears())
		require.Empty(t, list[0].loses())
		require.Empty(t, again.loses())
		s.kill("n2")
		s.pass(50 * time.Millisecond)
		require.Equal(t, []codec.NodeID{"n2"}, list[0].loses(), "each of its lives")
	})
}

// A planned end is told before it is noticed.
func TestGoodbyeIsHeard(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		list := s.all("n1", "n2", "n3")
		list[1].say("n1", "last words")
		began := time.Now()
		list[1].Close()
		require.Less(t, time.Since(began), closeWithin)
		s.pass(time.Millisecond)
		require.Equal(t, []string{"n2: last words"}, list[0].hears())
		require.Equal(t, []codec.NodeID{"n2"}, list[0].loses())
		require.Equal(t, []codec.NodeID{"n2"}, list[2].loses())
		s.pass(time.Minute)
		require.Empty(t, list[0].loses())
		require.Empty(t, list[1].loses(), "who ends loses nobody")
		require.Contains(t, strings.Join(list[0].logged(), "\n"), "it said goodbye")
	})
}

// A goodbye overtakes letters on the other lane, and the process is lost when they
// are in: who hears its leader behind its end would follow it again.
func TestLettersAreHeardBeforeTheEnd(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		gate := make(chan struct{})
		n1 := s.start("n1", func(c *Config) {
			hear := c.Hear
			c.Hear = func(from codec.NodeID, p []byte) {
				<-gate
				hear(from, p)
			}
		})
		n2 := s.start("n2", nil)
		n1.SetPeers(map[codec.NodeID]string{"n2": addressOf("n2")})
		n2.SetPeers(map[codec.NodeID]string{"n1": addressOf("n1")})
		s.pass(100 * time.Millisecond)
		n2.Send("n1", [][]byte{make([]byte, codec.ControlBytesMax+1)})
		s.pass(time.Millisecond)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			n2.Close()
		}()
		s.pass(100 * time.Millisecond)
		require.Empty(t, n1.loses(), "one of its letters is being heard")
		close(gate)
		<-ended
		s.pass(time.Millisecond)
		require.Len(t, n1.hears(), 1)
		require.Equal(t, []codec.NodeID{"n2"}, n1.loses())
	})
}

// A goodbye is heard by who does not dial as well.
func TestGoodbyeOnALane(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		one, two := s.start("n1", nil), s.start("n2", nil)
		two.SetPeers(map[codec.NodeID]string{"n1": addressOf("n1")})
		s.pass(time.Second)
		two.Close()
		s.pass(time.Millisecond)
		require.Equal(t, []codec.NodeID{"n2"}, one.loses())
	})
}

// A process that nobody can reach, and which reaches others, lives as long as
// its own connections do; their end is looked into at once, and it is lost
// once.
func TestAProcessThatOnlyDials(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		list := s.all("n1", "n2")
		list[1].config.Listener.Close()
		list[0].SetPeers(map[codec.NodeID]string{"n2": "n2:1"}) // where nobody listens either
		s.pass(time.Minute)
		require.Equal(t, Waiting, list[0].peer("n2").Control.State)
		require.Empty(t, list[0].loses(), "it is heard")
		life := list[1].life
		s.kill("n2")
		s.pass(50 * time.Millisecond)
		require.Equal(t, []codec.NodeID{"n2"}, list[0].loses())

		// What it dialled in its last moment is taken later than it is lost.
		late, err := s.dial(addressOf("n1"), list[1].config.Self.greeting(life, codec.PurposeControl, "n1"))
		require.NoError(t, err)
		late.Close()
		s.pass(10 * time.Second)
		require.Empty(t, list[0].loses(), "once")
	})
}

// Connections that break while the process lives are opened again, and nobody
// is lost.
func TestABrokenConnectionIsNoLoss(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		list := s.all("n1", "n2")
		for round := range 20 {
			s.pass(time.Duration(round) * 200 * time.Millisecond)
			s.net.breakAll()
			s.pass(3 * time.Second)
			list[0].say("n2", "still here")
			s.pass(time.Millisecond)
			require.Equal(t, []string{"n1: still here"}, list[1].hears())
		}
		require.Empty(t, list[0].loses())
		require.Empty(t, list[1].loses())
		require.GreaterOrEqual(t, list[0].peer("n2").Control.Reconnections, uint64(20))
	})
}

// A cable that is cut is silence: it is seen, the connection is given up, and
// nobody is lost. What waited meanwhile is lost and counted.
func TestACutCableIsNoLoss(t *testing.T) {
	for name, ways := range map[string][][2]string{
		"both":  {{"n1", "n2"}, {"n2", "n1"}},
		"there": {{"n1", "n2"}},
		"back":  {{"n2", "n1"}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *troupe) {
				list := s.all("n1", "n2")
				s.net.set(func() {
					for _, w := range ways {
						s.net.cut[w] = true
					}
					s.net.holes[addressOf("n1")], s.net.holes[addressOf("n2")] = true, true
				})
				s.pass(5 * time.Second)
				p := list[0].peer("n2").Control
				require.Equal(t, Silent, p.State)
				require.Contains(t, p.Trouble, "nothing was heard")
				s.pass(20 * time.Second)
				p = list[0].peer("n2").Control
				require.Contains(t, []State{Waiting, Dialling}, p.State)
				require.Contains(t, p.Trouble, "nobody answers there in time")
				list[0].say("n2", "old news")
				s.pass(10 * time.Second)
				require.NotZero(t, list[0].peer("n2").Control.Lost.Letters)
				s.net.set(func() { clear(s.net.cut); clear(s.net.holes) })
				s.pass(5 * time.Second)
				list[0].say("n2", "mended")
				s.pass(time.Millisecond)
				require.Equal(t, []string{"n1: mended"}, list[1].hears())
				require.Empty(t, list[0].loses())
				require.Empty(t, list[1].loses())
			})
		})
	}
}

// A dial that nobody answers begins anew when the peer comes in by itself: its
// cable is back.
func TestADialBeginsAnewWhenThePeerIsThere(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		s.net.set(func() { s.net.holes[addressOf("n2")] = true })
		n1, n2 := s.start("n1", nil), s.start("n2", nil)
		n1.SetPeers(map[codec.NodeID]string{"n2": addressOf("n2")})
		s.pass(2*dialFresh + time.Millisecond)
		require.Equal(t, Dialling, n1.peer("n2").Control.State)
		s.net.set(func() { clear(s.net.holes) })
		s.pass(dialFresh)
		require.Equal(t, Dialling, n1.peer("n2").Control.State, "it waits for an answer that does not come")
		n2.SetPeers(map[codec.NodeID]string{"n1": addressOf("n1")})
		s.pass(dialFresh)
		require.Equal(t, Up, n1.peer("n2").Control.State)
		require.Equal(t, Up, n1.peer("n2").Bulk.State)
	})
}

// A process that comes back before anybody has dialled in vain is another one,
// so the one before has ended.
func TestAnotherProcessAtTheSamePlace(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		list := s.all("n1", "n2")
		s.pass(5 * time.Second)
		before := list[0].peer("n2").Life
		s.net.set(func() { s.net.holes[addressOf("n2")] = true }) // nobody is refused
		s.kill("n2")
		s.net.set(func() { s.net.holes[addressOf("n2")] = false })
		again := s.start("n2", nil)
		again.SetPeers(map[codec.NodeID]string{"n1": addressOf("n1")})
		s.pass(5 * time.Second)
		require.Equal(t, []codec.NodeID{"n2"}, list[0].loses())
		require.NotEqual(t, before, list[0].peer("n2").Life)
		again.say("n1", "it is me")
		s.pass(time.Millisecond)
		require.Equal(t, []string{"n2: it is me"}, list[0].hears())
	})
}

// Two nodes that restart each other in turn lose each life once, and find each
// other again.
func TestTwoThatRestartInTurn(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		s.all("n1", "n2")
		for round := range 50 {
			dies, stays := codec.NodeID("n1"), codec.NodeID("n2")
			if round%2 == 1 {
				dies, stays = stays, dies
			}
			s.kill(dies)
			s.pass(time.Duration(round%7) * 10 * time.Millisecond)
			s.start(dies, nil).SetPeers(map[codec.NodeID]string{stays: addressOf(stays)})
			s.pass(3 * time.Second)
			require.Equal(t, []codec.NodeID{dies}, s.players[stays].loses(), "round %d", round)
			require.Empty(t, s.players[dies].loses())
			s.players[dies].say(stays, "hello")
			s.players[stays].say(dies, "hello")
			s.pass(time.Millisecond)
			require.Len(t, s.players[stays].hears(), 1)
			require.Len(t, s.players[dies].hears(), 1)
		}
	})
}

// A dial that waits for an answer at an address which is another by now is not begun
// there anew.
func TestAMoveEndsADialThatNobodyAnswers(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		s.net.set(func() { s.net.holes["old:1"] = true })
		s.start("n2", nil)
		n1 := s.start("n1", nil)
		n1.SetPeers(map[codec.NodeID]string{"n2": "old:1"})
		s.pass(3 * dialFresh)
		n1.SetPeers(map[codec.NodeID]string{"n2": addressOf("n2")})
		s.pass(dialFresh)
		require.Equal(t, 2, s.net.dialled("old:1"), "once by each lane")
		require.Equal(t, Up, n1.peer("n2").Control.State)
		require.Equal(t, Up, n1.peer("n2").Bulk.State)
	})
}

// When another life is there, nothing more is heard of the one before than what is being
// heard: it may be said to be over.
func TestNothingIsHeardOfTheLifeBefore(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		gate := make(chan struct{})
		n1 := s.start("n1", func(c *Config) {
			hear := c.Hear
			c.Hear = func(from codec.NodeID, p []byte) {
				<-gate
				hear(from, p)
			}
		})
		before := s.start("n2", nil)
		before.SetPeers(map[codec.NodeID]string{"n1": addressOf("n1")})
		s.pass(100 * time.Millisecond)
		for range 5 {
			before.say("n1", "old")
		}
		s.pass(time.Millisecond)
		before.Close()
		require.Empty(t, n1.loses())
		s.start("n2", nil).SetPeers(map[codec.NodeID]string{"n1": addressOf("n1")})
		s.pass(100 * time.Millisecond)
		require.Equal(t, []codec.NodeID{"n2"}, n1.loses())
		close(gate)
		s.pass(time.Millisecond)
		require.Len(t, n1.hears(), 1)
		require.Empty(t, n1.loses())
	})
}

// The end of a connection says what it was: a deadline of this side is silence, TCP's
// own is not.
func TestWhatEndedAConnection(t *testing.T) {
	late := &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
	require.Equal(t, errSilent, silence(late))
	unacked := &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.ETIMEDOUT)}
	require.Equal(t, unacked, silence(unacked))
	require.ErrorContains(t, explain(unacked), "what was sent was not acknowledged in time")
	unacked.Op = "dial"
	require.ErrorContains(t, explain(unacked), "nobody answers there in time")
}
