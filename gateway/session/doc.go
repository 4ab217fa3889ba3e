// Package session owns the rules of a client's session, as a mind: what may
// come, when, how much at a time, in which order answers leave, what a
// subscription may push, and who is let in at all.
//
// It promises that the rules depend on nothing but what it is told: it has no
// socket, clock, goroutine or lock, and one caller at a time. Gateway is its
// body before real clients; simulations/world runs it from a seed.
package session
