package world

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// BenchmarkStep is one message from an actor to itself: a simulator twice as
// slow finds half the bugs.
func BenchmarkStep(b *testing.B) {
	w := New(1, begin)
	defer w.Close()
	system := actor.NewActorSystem(actor.WithLoggerFactory(quiet))
	w.limit = 1 << 62
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(string); ok {
			c.Send(c.Self(), "again")
		}
	}, w.Life("n1").Props()...))
	system.Root.Send(pid, "begin")
	for b.Loop() {
		w.step()
	}
}
