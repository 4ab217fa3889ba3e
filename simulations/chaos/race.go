package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Races is what came of brokers that were started at once to found a cluster together.
type Races struct {
	Rounds  int
	Trouble map[string]int  // rounds, by what was done meanwhile
	Refused int             // rounds in which somebody refused, and said why
	Ready   []time.Duration // sorted; from the start of the last to all being ready, of rounds without trouble
}

// String is the report in a line.
func (r Races) String() string {
	s := fmt.Sprintf("%d rounds: one cluster in %d, a refusal that says why in %d;", r.Rounds, r.Rounds-r.Refused, r.Refused)
	for _, what := range slices.Sorted(maps.Keys(r.Trouble)) {
		s += fmt.Sprintf(" %s %d;", what, r.Trouble[what])
	}
	if n := len(r.Ready); n > 0 {
		s += fmt.Sprintf(" ready without trouble after p50 %.0f ms, p99 %.0f ms, max %.0f ms", ms(r.Ready[n/2]), ms(r.Ready[n*99/100]), ms(r.Ready[n-1]))
	}
	return s
}

const (
	raceBrokers = 5
	// raceMoments is within which time after the start something is done to somebody:
	// founding takes one to two seconds.
	raceMoments = 2 * time.Second
	raceWithin  = 40 * time.Second
	// wipedWithin is how long those wait for each other of whom one has lost its disk.
	wipedWithin = 8 * time.Second
)

// raceTroubles are what may be done while a cluster is founded.
var raceTroubles = map[string]func(*race, context.Context) error{
	"none": func(*race, context.Context) error { return nil },
	"late": (*race).late, "killed": (*race).killed, "two killed": (*race).twoKilled, "wiped": (*race).wiped,
}

// race is one round.
type race struct {
	cluster *Cluster
	chance  *rand.Rand
	late5   bool  // the last broker is not started with the others
	before  []int // bytes of each log before the wait in the end
}

// RaceFounding founds clusters of five brokers below dir, each with the same flags for
// all and started at once, with some trouble meanwhile. It is an error when directories
// of a round belong to two clusters, when brokers of which none has lost its disk are not
// all ready in the end, or when one that is not ready does not say why.
func RaceFounding(ctx context.Context, binary, dir string, rounds int, chance *rand.Rand) (r Races, err error) {
	r.Trouble = map[string]int{}
	names := slices.Sorted(maps.Keys(raceTroubles))
	for i := range rounds {
		what := names[i%len(names)]
		at := filepath.Join(dir, fmt.Sprint("round-", i))
		c, err := NewCluster(ctx, binary, at, raceBrokers, nil)
		if err != nil {
			return r, err
		}
		one := &race{cluster: c, chance: chance, late5: what == "late"}
		took, refused, err := one.run(ctx, what)
		for _, b := range c.Brokers {
			err = errors.Join(err, b.KillRefused())
		}
		if err != nil {
			return r, fmt.Errorf("round %d, %s: %w\n%s", i, what, err, one.lastWords())
		}
		if err := os.RemoveAll(at); err != nil {
			return r, err
		}
		r.Rounds++
		r.Trouble[what]++
		if refused {
			r.Refused++
		}
		if what == "none" {
			r.Ready = append(r.Ready, took)
		}
	}
	slices.Sort(r.Ready)
	return r, nil
}

func (r *race) run(ctx context.Context, what string) (took time.Duration, refused bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, raceWithin)
	defer cancel()
	brokers := slices.Clone(r.cluster.Brokers)
	r.chance.Shuffle(len(brokers), func(i, j int) { brokers[i], brokers[j] = brokers[j], brokers[i] })
	for i, b := range brokers {
		if r.late5 && i == len(brokers)-1 {
			break
		}
		if err := errors.Join(b.Begin(), wait(ctx, time.Duration(r.chance.IntN(20))*time.Millisecond)); err != nil {
			return 0, false, err
		}
	}
	begun := time.Now()
	if err := raceTroubles[what](r, ctx); err != nil {
		return 0, false, err
	}
	for _, b := range r.cluster.Brokers {
		r.before = append(r.before, len(b.Log()))
	}
	notReady, err := r.await(ctx, what == "wiped")
	if err != nil {
		return 0, false, err
	}
	took = time.Since(begun)
	if len(notReady) == 0 {
		err = r.belong(ctx)
	}
	return took, len(notReady) > 0, errors.Join(err, r.judge(notReady))
}

// knownWithin is how long one that is ready may take to be known to another: it is heard
// of with the next heartbeat of who leads the metadata.
const knownWithin = 5 * time.Second

// belong asks one broker, after all are ready, until it knows each.
func (r *race) belong(ctx context.Context) error {
	b := r.cluster.Brokers[r.chance.IntN(raceBrokers)]
	ctx, cancel := context.WithTimeout(ctx, knownWithin)
	defer cancel()
	for {
		out, log, exit, err := b.Run(ctx, "cluster", "nodes", "--server", b.Address)
		if err != nil || exit != 0 {
			return fmt.Errorf("cluster nodes at %s ended with %d: %w: %s", b.Node, exit, err, log)
		}
		unknown := slices.IndexFunc(r.cluster.Brokers, func(one *Broker) bool {
			return !strings.Contains(out, one.Node) || !strings.Contains(out, one.Address)
		})
		if unknown < 0 {
			return nil
		}
		if wait(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("%s does not know %s:\n%s", b.Node, r.cluster.Brokers[unknown].Node, out)
		}
	}
}

// await waits for all, and returns who is not ready in the end, which is an error unless
// somebody has lost a disk.
func (r *race) await(ctx context.Context, lost bool) (notReady []*Broker, err error) {
	if lost {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wipedWithin)
		defer cancel()
	}
	var errs []error
	for _, b := range r.cluster.Brokers {
		if err := b.Await(ctx); err != nil {
			notReady, errs = append(notReady, b), append(errs, fmt.Errorf("%s: %w", b.Node, err))
		}
	}
	if lost {
		errs = nil
	}
	return notReady, errors.Join(errs...)
}

// judge reads what the directories belong to.
func (r *race) judge(notReady []*Broker) error {
	clusters := map[string][]string{}
	for _, b := range r.cluster.Brokers {
		p, err := os.ReadFile(filepath.Join(b.Dir, "node.json"))
		if errors.Is(err, os.ErrNotExist) && slices.Contains(notReady, b) {
			continue
		}
		var is struct{ Cluster string }
		if err := errors.Join(err, json.Unmarshal(p, &is)); err != nil {
			return fmt.Errorf("what %s belongs to: %w", b.Node, err)
		}
		clusters[is.Cluster] = append(clusters[is.Cluster], b.Node)
	}
	if len(clusters) > 1 {
		return fmt.Errorf("two clusters: %v", clusters)
	}
	for i, b := range r.cluster.Brokers {
		if slices.Contains(notReady, b) && !saysWhy(b.Runs(), b.Log()[r.before[i]:], b.Said()) {
			return fmt.Errorf("%s is not ready, and does not say why:\n%s", b.Node, b.LastWords())
		}
	}
	return nil
}

// saysWhy says whether a broker tells a person what the matter is: one that still runs for
// whom it waits, since the wait in the end began, and one that has ended with its last line.
func saysWhy(runs bool, lately, said string) bool {
	said = strings.TrimSpace(said)
	last := said[strings.LastIndexByte(said, '\n')+1:]
	return runs && strings.Contains(lately, "waits to ") || !runs && strings.HasPrefix(last, "troupe: ")
}

func (r *race) someMoment(ctx context.Context) error {
	return wait(ctx, time.Duration(r.chance.Int64N(int64(raceMoments))))
}

// late starts the last a while later. Until then the others wait for it.
func (r *race) late(ctx context.Context) error {
	if err := r.someMoment(ctx); err != nil {
		return err
	}
	for _, b := range r.cluster.Brokers {
		if b.PID() == 0 {
			return b.Begin()
		}
	}
	return errors.New("nobody is late")
}

// killed kills one, and starts it again.
func (r *race) killed(ctx context.Context) error {
	if err := r.someMoment(ctx); err != nil {
		return err
	}
	b := r.cluster.Brokers[r.chance.IntN(raceBrokers)]
	return errors.Join(b.Kill(), b.Begin())
}

// twoKilled kills two at once, and starts them at different times.
func (r *race) twoKilled(ctx context.Context) error {
	if err := r.someMoment(ctx); err != nil {
		return err
	}
	i := r.chance.IntN(raceBrokers)
	one, other := r.cluster.Brokers[i], r.cluster.Brokers[(i+1+r.chance.IntN(raceBrokers-1))%raceBrokers]
	return errors.Join(one.Kill(), other.Kill(), one.Begin(), r.someMoment(ctx), other.Begin())
}

// wiped has one lose its disk.
func (r *race) wiped(ctx context.Context) error {
	if err := r.someMoment(ctx); err != nil {
		return err
	}
	b := r.cluster.Brokers[r.chance.IntN(raceBrokers)]
	return errors.Join(b.Kill(), os.RemoveAll(b.Dir), b.Begin())
}

func (r *race) lastWords() string {
	var all strings.Builder
	for _, b := range r.cluster.Brokers {
		fmt.Fprintf(&all, "%s:\n%s\n", b.Node, b.LastWords())
	}
	return all.String()
}
