package chaos

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
	"github.com/troupe-mq/troupe/simulations/check"
)

// The end of a play's audit may be overtaken by retention: it reads on where the
// log begins then. Of a topic that keeps everything that is an error.
func TestAnAuditThatRetentionOvertakes(t *testing.T) {
	ctx := patience(t, time.Minute)
	b, err := NewBroker(binary(t), filepath.Join(t.TempDir(), "data"))
	require.NoError(t, err)
	require.NoError(t, b.Start(ctx))
	defer func() { require.NoError(t, b.Kill()) }()
	c, err := at(b.Address).client(ctx, "test")
	require.NoError(t, err)
	defer c.Close()
	for _, law := range []struct {
		topic topic
		says  string
	}{
		{topic: topic{name: "forgets", partitions: 1, settings: map[string]string{"retention.bytes": "1GiB"}}},
		{topic: topic{name: "keeps", partitions: 1}, says: "OFFSET_OUT_OF_RANGE"},
	} {
		_, err = c.CreateTopic(ctx, codec.CreateTopic{Topic: law.topic.name, Partitions: 1, Settings: law.topic.settings})
		require.NoError(t, err)
		log, rec := codec.TopicPartition{Topic: law.topic.name}, newRecorder()
		produceNumbered(t, c, rec, log, 10)
		spans, err := c.Spans(ctx, log.Topic, false)
		require.NoError(t, err)
		_, err = c.Trim(ctx, log, 4)
		require.NoError(t, err)
		err = readRest(ctx, rec, c, auditSession, law.topic, spans)
		if law.says != "" {
			require.ErrorContains(t, err, law.says)
			continue
		}
		require.NoError(t, err)
		h, _ := rec.history()
		require.Equal(t, map[codec.TopicPartition]codec.Offset{log: 4}, h.Start)
		require.Len(t, h.Reads, 6)
		require.NoError(t, judge(h))
		h.Reads = append(h.Reads[:2:2], h.Reads[3:]...)
		require.ErrorContains(t, judge(h), string(check.LostWrite), "what retention did not take is missed all the same")
	}
}

// produceNumbered sends n records of one producer in one batch, and notes it.
func produceNumbered(t *testing.T, c *client.Client, rec *recorder, log codec.TopicPartition, n uint64) {
	t.Helper()
	chance := rand.New(rand.NewPCG(1, 1))
	var build codec.Builder
	var tokens []token
	var hashes []uint64
	for i := range n {
		k := tokenOf(1, i+1)
		r := newRecord(k, 100, chance)
		build.Append(r.Timestamp, r.Key, r.Value, r.Headers)
		tokens, hashes = append(tokens, k), append(hashes, hashOf(&r))
	}
	batch, err := build.Build(codec.NoCompression)
	require.NoError(t, err)
	at, answered := rec.send("", log, tokens, hashes), make(chan error, 1)
	require.NoError(t, c.ProduceBatch(t.Context(), log, batch, func(p codec.Produced, err error) {
		rec.answered(at, len(tokens), len(batch), p.Base, err)
		answered <- err
	}))
	require.NoError(t, <-answered)
}
