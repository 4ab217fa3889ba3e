// Package link owns the connections between the processes of a cluster. It
// moves letters, which are bytes with a lane (codec.LaneOf), from one node to
// another; what is in them, and for whom there, it does not know.
//
// It promises what actors.Link wants: Send never waits; a letter arrives once
// and whole, or not at all; those of one lane arrive in the order in which
// they were sent, as long as one connection lives. What cannot leave is lost
// and counted: when nobody answers, when a lane's queue is full, and what was
// on its way when a connection broke. Whoever sends says it again.
//
// Each side dials for what it sends itself, two connections to a peer, one for
// each lane (drive.go). What it receives comes on connections that others
// dialled (accept.go). Who the other one is, is settled before the first
// letter (greet.go, refuse.go); when its process has ended, Lost is called
// (nodes.go has the rules).
//
// A service dials, sends calls and gets replies on the same connection, under a
// window (desk.go; attach.go is its side). What it says reaches Serve and nothing
// else.
//
// Memory is bounded: by lane, what waits to go out; by connection, one letter
// coming in; by service, its window; and all connections of whom nothing is
// known yet have a few kilobytes, a deadline, and a bound on their number
// (entrance.go).
package link
