package session

// Room says whether a frame of size bytes may be read now. One may always
// pass, so that no request is too large to ever come in.
func (s *Session) Room(size int) bool {
	return s.inFlight < s.limits.InFlight && (s.inFlight == 0 || s.bytes+size <= s.limits.BytesInFlight)
}

// Take charges a request; Release is its end, when the answer has left.
func (s *Session) Take(size int) {
	s.inFlight++
	s.bytes += size
}

// Release takes back the charge of n requests.
func (s *Session) Release(n, size int) {
	s.inFlight -= n
	s.bytes -= size
}

// Recharge changes what a request in flight costs: an answer that waits to be
// sent counts instead of what asked for it.
func (s *Session) Recharge(from, to int) { s.bytes += to - from }

// InFlight is the requests without an answer, and the bytes they hold.
func (s *Session) InFlight() (requests, bytes int) { return s.inFlight, s.bytes }
