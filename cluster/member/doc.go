// Package member says who is here, by gossip. Serf stands behind it, and
// nothing of Serf is seen.
//
// It is a hint, sooner than a timeout and now and then wrong: who belongs to the
// cluster and who leads is decided elsewhere, and nothing that was promised to
// anybody rests on it. So it must not stand in the way of anything either: Serf
// is never waited for by who asks, it is built anew when it stops, and a broker
// whom nobody hears goes on trying.
//
// It is level-triggered. Changed says that it is time to look again, once for
// any number of events, and Members is what there is to see.
//
// Brokers of other clusters are kept out twice: every packet begins with the
// cluster's id, and a member that names another is refused (guard.go). With a
// keyring (keyring.go) packets are encrypted, and whoever has none of its keys is
// not heard.
package member
