package session

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func ask(credit int64) *codec.Subscribe {
	return &codec.Subscribe{TopicPartition: codec.TopicPartition{Topic: "t"}, Credit: credit}
}

// begun is a subscription whose answer has left.
func begun(t *testing.T, s *Session, credit int64) *Subscription {
	t.Helper()
	p, err := s.Subscribe(ask(credit))
	require.NoError(t, err)
	require.True(t, s.Told(p))
	s.Begin(p, 0)
	return p
}

func TestASubscriptionPushesWhileItHasCredit(t *testing.T) {
	s := New(Limits{}.WithDefaults())
	p, err := s.Subscribe(ask(100))
	require.NoError(t, err)
	s.Begin(p, 0)
	require.False(t, s.MayPush(), "its answer has not left")
	require.True(t, s.Told(p))
	s.Begin(p, 0)
	require.Same(t, p, s.NextPush())
	require.Equal(t, 100, p.Bytes())
	s.Pushed(p, 60, 5, 0)
	require.Same(t, p, s.NextPush())
	require.Equal(t, 40, p.Bytes())
	s.Pushed(p, 500, 9, 0) // one batch, larger than the credit
	require.Equal(t, codec.Offset(9), p.Next)
	require.Equal(t, int64(-460), p.Credit())
	require.Nil(t, s.NextPush())
	require.False(t, s.Grant(&codec.Credit{Subscription: p.ID, Bytes: 460}), "that is what was too much")
	require.True(t, s.Grant(&codec.Credit{Subscription: p.ID, Bytes: 1}))
	require.False(t, s.Grant(&codec.Credit{Subscription: p.ID, Bytes: 1}), "it may push already")
	require.Same(t, p, s.NextPush())
	require.Nil(t, s.NextPush(), "one turn at a time")
}

func TestCreditIsBounded(t *testing.T) {
	s := New(Limits{}.WithDefaults())
	p := begun(t, s, codec.CreditMax)
	for range 10 {
		s.Grant(&codec.Credit{Subscription: p.ID, Bytes: codec.CreditMax})
	}
	require.Equal(t, int64(codec.CreditMax), p.Credit())
	s.NextPush()
	require.Equal(t, PushMax, p.Bytes(), "answers go between pushes")
	require.False(t, s.Grant(&codec.Credit{Subscription: 77, Bytes: 1}), "there is none")
}

func TestSubscriptionsTakeTurns(t *testing.T) {
	s := New(Limits{}.WithDefaults())
	a, b, c := begun(t, s, 1000), begun(t, s, 1000), begun(t, s, 0)
	var order []uint32
	for range 3 {
		for p := range 2 {
			_ = p
			n := s.NextPush()
			order = append(order, n.ID)
			s.Pushed(n, 10, 0, 0)
		}
	}
	require.Equal(t, []uint32{a.ID, b.ID, a.ID, b.ID, a.ID, b.ID}, order)
	require.True(t, s.Grant(&codec.Credit{Subscription: c.ID, Bytes: 5}))
	s.NextPush()
	s.NextPush()
	require.Same(t, c, s.NextPush())
}

func TestWaitingAtTheEnd(t *testing.T) {
	s := New(Limits{Heartbeat: 10 * time.Second}.WithDefaults())
	p := begun(t, s, 100)
	require.False(t, s.Wake(p), "it does not wait")
	s.NextPush()
	wait, idle, ok := s.Wait(p, 4*time.Second)
	require.True(t, ok)
	require.False(t, idle)
	require.Equal(t, 6*time.Second, wait)
	require.False(t, s.Grant(&codec.Credit{Subscription: p.ID, Bytes: 5}), "credit is not what it waits for")
	require.True(t, s.Wake(p))
	require.False(t, s.Wake(p))
	s.NextPush()
	wait, idle, _ = s.Wait(p, 11*time.Second)
	require.True(t, idle, "the client has not heard of it for so long")
	require.Equal(t, 10*time.Second, wait)
}

func TestSubscriptionsEnd(t *testing.T) {
	s := New(Limits{Subscriptions: 2}.WithDefaults())
	a, b := begun(t, s, 100), begun(t, s, 100)
	_, err := s.Subscribe(ask(1))
	require.EqualError(t, err, "TOO_MANY_SUBSCRIPTIONS: 2 subscriptions: at most 2 are allowed on a connection")
	n, credit := s.Subscriptions()
	require.Equal(t, 2, n)
	require.Equal(t, int64(200), credit)

	require.Same(t, a, s.NextPush())
	got, err := s.Unsubscribe(&codec.Unsubscribe{Subscription: a.ID})
	require.NoError(t, err)
	require.Same(t, a, got)
	s.Pushed(a, 10, 1, 0) // the push was on its way
	_, _, ok := s.Wait(a, 0)
	require.False(t, ok)
	got, err = s.Unsubscribe(&codec.Unsubscribe{Subscription: a.ID})
	require.NoError(t, err, "it may have ended by itself")
	require.Nil(t, got)
	_, err = s.Unsubscribe(&codec.Unsubscribe{Subscription: 9})
	require.EqualError(t, err, "INVALID_ARGUMENT: there never was a subscription 9 on this connection: the last is 2")

	c := begun(t, s, 100)
	require.Equal(t, uint32(3), c.ID, "numbers are not used again")
	s.End(c)
	c = begun(t, s, 100)
	s.limits.Subscriptions = 3
	d, err := s.Subscribe(ask(1))
	require.NoError(t, err)
	require.Equal(t, []*Subscription{b, c}, s.EndAll(), "nobody has heard of the last")
	require.False(t, s.Told(d))
	require.Nil(t, s.NextPush())
	require.False(t, s.End(b))
	s.Begin(b, 0)
	require.Nil(t, s.NextPush())
	s.lastSub = 1<<32 - 1
	_, err = s.Subscribe(ask(1))
	require.ErrorIs(t, err, codec.E(codec.TooManySubscriptions))
}

// Whatever a client grants and whatever is read, a subscription never sends
// more than was granted and one batch, and each that may go on does.
func TestNeverOverrunNeverForgotten(t *testing.T) {
	for seed := range uint64(200) {
		chance := rand.New(rand.NewPCG(seed, 1))
		s := New(Limits{}.WithDefaults())
		granted, sent := map[*Subscription]int64{}, map[*Subscription]int64{}
		last := map[*Subscription]int64{}
		var all []*Subscription
		for range 1 + chance.IntN(5) {
			credit := chance.Int64N(3000)
			p := begun(t, s, credit)
			granted[p] = credit
			all = append(all, p)
		}
		for range 500 {
			p := all[chance.IntN(len(all))]
			switch chance.IntN(4) {
			case 0:
				n := chance.Int64N(2000)
				s.Grant(&codec.Credit{Subscription: p.ID, Bytes: n})
				granted[p] += n
			case 1:
				s.Wake(p)
			default:
				if p = s.NextPush(); p == nil {
					break
				}
				if chance.IntN(4) == 0 {
					s.Wait(p, 0)
					break
				}
				require.Less(t, sent[p], granted[p], "seed %d: it had no credit", seed)
				n := int64(1 + chance.IntN(2500))
				s.Pushed(p, int(n), 0, 0)
				sent[p] += n
				last[p] = n
			}
			for _, p := range all {
				require.LessOrEqual(t, sent[p]-last[p], granted[p], "seed %d", seed)
				require.Equal(t, granted[p]-sent[p], p.Credit())
			}
		}
		for _, p := range all {
			s.Wake(p)
		}
		may := map[*Subscription]bool{}
		for p := s.NextPush(); p != nil; p = s.NextPush() {
			may[p] = true
		}
		for _, p := range all {
			require.Equal(t, granted[p] > sent[p], may[p], "seed %d: subscription %d", seed, p.ID)
		}
	}
}
