package codec

import (
	"maps"
	"math"
	"slices"
)

// CreateTopic makes a topic; the answer is its TopicDescription.
type CreateTopic struct {
	Topic      Topic
	Partitions int32 // 0 = 1
	Replicas   int32 // 0 = what the cluster can bear
	Settings   map[string]string
}

// Op is OpCreateTopic.
func (*CreateTopic) Op() Op { return OpCreateTopic }

func (c *CreateTopic) pack(p *packer) { p.topicRequest(c.Topic, c.Partitions, c.Replicas, c.Settings) }
func (c *CreateTopic) unpack(u *unpacker) {
	u.topicRequest("CREATE_TOPIC", &c.Topic, &c.Partitions, &c.Replicas, &c.Settings)
}

// AlterTopic changes a topic; the answer is its TopicDescription.
type AlterTopic struct {
	Topic      Topic
	Partitions int32             // 0 = as it is
	Replicas   int32             // 0 = as it is
	Settings   map[string]string // those to change
}

// Op is OpAlterTopic.
func (*AlterTopic) Op() Op { return OpAlterTopic }

func (a *AlterTopic) pack(p *packer) { p.topicRequest(a.Topic, a.Partitions, a.Replicas, a.Settings) }
func (a *AlterTopic) unpack(u *unpacker) {
	u.topicRequest("ALTER_TOPIC", &a.Topic, &a.Partitions, &a.Replicas, &a.Settings)
}

func (p *packer) topicRequest(name Topic, partitions, replicas int32, settings map[string]string) {
	p.mapping(4)
	p.keyText("topic", string(name))
	p.keyInt("partitions", int64(partitions))
	p.keyInt("replicas", int64(replicas))
	p.settings(settings)
}

func (u *unpacker) topicRequest(what string, name *Topic, partitions, replicas *int32, settings *map[string]string) {
	u.mapping(what, func(key string) bool {
		switch key {
		case "topic":
			*name = u.topic()
		case "partitions":
			*partitions = int32(u.int("partitions", 0, math.MaxInt32))
		case "replicas":
			*replicas = int32(u.int("replicas", 0, math.MaxInt32))
		case "settings":
			*settings = u.settings()
		default:
			return false
		}
		return true
	})
}

// settings writes key and value in the order of the keys.
func (p *packer) settings(s map[string]string) {
	p.text("settings")
	p.mapping(len(s))
	for _, key := range slices.Sorted(maps.Keys(s)) {
		p.keyText(key, s[key])
	}
}

func (u *unpacker) settings() map[string]string {
	s := map[string]string{}
	u.mapping("settings", func(key string) bool {
		s[key] = u.text("setting "+clip(key), settingMax)
		return true
	})
	return s
}

// DeleteTopic deletes a topic with all it holds; the answer is Empty.
type DeleteTopic struct{ Topic Topic }

// Op is OpDeleteTopic.
func (*DeleteTopic) Op() Op { return OpDeleteTopic }

func (d *DeleteTopic) pack(p *packer)     { p.topicOnly(d.Topic) }
func (d *DeleteTopic) unpack(u *unpacker) { u.topicOnly("DELETE_TOPIC", &d.Topic) }

// DescribeTopic asks for a TopicDescription.
type DescribeTopic struct{ Topic Topic }

// Op is OpDescribeTopic.
func (*DescribeTopic) Op() Op { return OpDescribeTopic }

func (d *DescribeTopic) pack(p *packer)     { p.topicOnly(d.Topic) }
func (d *DescribeTopic) unpack(u *unpacker) { u.topicOnly("DESCRIBE_TOPIC", &d.Topic) }

func (p *packer) topicOnly(name Topic) {
	p.mapping(1)
	p.keyText("topic", string(name))
}

func (u *unpacker) topicOnly(what string, name *Topic) {
	u.mapping(what, func(key string) bool {
		if key == "topic" {
			*name = u.topic()
		}
		return key == "topic"
	})
}
