package link

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unackedWithin is how long what was sent may stay without TCP's own
// acknowledgement. Then the connection ends and is dialled anew. TCP by itself
// would send again at longer and longer intervals: after a cable was out for
// three seconds it says nothing for three more, and letters about a vote wait
// in it while all is well again. A process that stands still is no reason, its
// kernel acknowledges; once its buffers are full it is one, and what waits for it
// would be old when it goes on.
const unackedWithin = 2 * time.Second

// endUnacked is net.Dialer.Control. Where the kernel refuses, a link is slower after a
// cut and no worse.
func endUnacked(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unackedWithin.Milliseconds()))
	})
}
