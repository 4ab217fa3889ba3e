package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/troupe-mq/troupe/cluster"
)

// serveConfig is everything that `troupe serve` can be told. A flag wins over
// its environment variable, that over the file, that over the default.
type serveConfig struct {
	Data      string `yaml:"data"`
	Node      string `yaml:"node"`
	Listen    string `yaml:"listen"`
	HTTP      string `yaml:"http"`
	Advertise string `yaml:"advertise"`

	Join          string `yaml:"join"`
	Link          string `yaml:"link"`
	AdvertiseLink string `yaml:"advertise-link"`
	Gossip        string `yaml:"gossip"`
	GossipKey     string `yaml:"gossip-key"`
	Rack          string `yaml:"rack"`
	TLSCert       string `yaml:"tls-cert"`
	TLSKey        string `yaml:"tls-key"`
	TLSCA         string `yaml:"tls-ca"`
	Tokens        string `yaml:"tokens"`

	ConnectionsMax        int           `yaml:"connections-max"`
	AddressConnectionsMax int           `yaml:"address-connections-max"`
	CreditBytes           size          `yaml:"credit-bytes"`
	RequestBytes          size          `yaml:"request-bytes"`
	AnswerBytes           size          `yaml:"answer-bytes"`
	Idle                  time.Duration `yaml:"idle"`

	LogLevel          string `yaml:"log-level"`
	LogFormat         string `yaml:"log-format"`
	MetricsPartitions bool   `yaml:"metrics-partitions"`
	Pprof             bool   `yaml:"pprof"`
	Insecure          bool   `yaml:"insecure"`
}

// flags binds c to the flags of serve, with their defaults. What each says is
// its unit and what follows from it; the environment variable is added.
func (c *serveConfig) flags(f *pflag.FlagSet) {
	f.StringVar(&c.Data, "data", "./data", "data directory, made when it is not there; one broker at a time uses it")
	f.StringVar(&c.Node, "node", "", "name of this broker, stored with its data and not to be changed (default: the host's name)")
	f.StringVar(&c.Listen, "listen", "127.0.0.1:9650", "address for clients")
	f.StringVar(&c.HTTP, "http", "127.0.0.1:9653", "address for /healthz, /readyz and /metrics; empty for none")
	f.StringVar(&c.Advertise, "advertise", "", "address that clients are told to use (default: that of --listen; needed with a link when that is none that others can use)")

	f.StringVar(&c.Join, "join", "", "links of the brokers of a cluster, with commas between them. With an empty directory: joins it, or founds it when this broker's own is among them and all are given the same; else they only tell where the others are")
	f.StringVar(&c.Link, "link", "", "address for the link of other brokers (default with --join: "+linkDefault+"; else none, and the broker is alone)")
	f.StringVar(&c.AdvertiseLink, "advertise-link", "", "address of its link that others are told to use (default: that of --link)")
	f.StringVar(&c.Gossip, "gossip", "", "address, TCP and UDP, by which brokers notice each other sooner (default with --join or --link: port 9652 beside the link; none to do without)")
	f.StringVar(&c.GossipKey, "gossip-key", "", "file with the keys of the gossip, one a line in base64, the first encrypts; wanted where the link has TLS, see troupe keygen")
	f.StringVar(&c.Rack, "rack", "", "what this broker shares its luck with, a room or a power line: replicas are spread over racks")
	f.StringVar(&c.TLSCert, "tls-cert", "", "file with this broker's certificate, see troupe certs; wanted for links that others can reach")
	f.StringVar(&c.TLSKey, "tls-key", "", "file with its private key")
	f.StringVar(&c.TLSCA, "tls-ca", "", "file with the certificates of the authorities whose brokers and clients are believed; clients speak TLS then, and show a certificate of it or a token")
	f.StringVar(&c.Tokens, "tokens", "", "file with tokens of clients, a line each: a name and 16 bytes or more; who shows none of them, and no certificate, is refused")

	c.CreditBytes, c.RequestBytes, c.AnswerBytes = 256<<20, 512<<20, 256<<20
	f.IntVar(&c.ConnectionsMax, "connections-max", 0, "clients at a time, those behind them are refused (default: 4096, or half of the process's file descriptors when that is less)")
	f.IntVar(&c.AddressConnectionsMax, "address-connections-max", 0, "clients at a time from one address (default: half of connections-max)")
	f.Var(&c.CreditBytes, "credit-bytes", "batches that are let in and not yet on the disk, in all; then producers wait")
	f.Var(&c.RequestBytes, "request-bytes", "requests without an answer, in all; then nothing more is read from clients")
	f.Var(&c.AnswerBytes, "answer-bytes", "answers being made or sent, in all; then readers wait. These three bound what clients' data takes of memory")
	f.DurationVar(&c.Idle, "idle", 5*time.Minute, "a client that asks nothing for so long, and is owed no answer, is disconnected")

	f.StringVar(&c.LogLevel, "log-level", "info", "least level that is logged: error, warn, info, debug or trace")
	f.StringVar(&c.LogFormat, "log-format", "text", "text or json, to standard error")
	f.BoolVar(&c.MetricsPartitions, "metrics-partitions", false, "show series of single partitions in /metrics: four a partition")
	f.BoolVar(&c.Pprof, "pprof", false, "serve Go's profiles under /debug/pprof on the HTTP address; they show memory, and cost CPU while they run")
	f.BoolVar(&c.Insecure, "insecure", false, "allow addresses other than loopback, without TLS and authentication: whoever reaches them may do all")
	f.VisitAll(func(flag *pflag.Flag) { flag.Usage += " [" + envName(flag.Name) + "]" })
}

// size is a number of bytes as people write it: 256MiB, 1GiB or 1048576.
type size int64

// String implements pflag.Value.
func (s *size) String() string {
	for _, u := range []struct {
		name  string
		bytes size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if *s >= u.bytes && *s%u.bytes == 0 {
			return fmt.Sprintf("%d%s", *s/u.bytes, u.name)
		}
	}
	return fmt.Sprint(int64(*s))
}

// Set implements pflag.Value. It reads what topics' settings read.
func (s *size) Set(text string) error {
	set, err := cluster.DefaultSettings().With(map[string]string{"retention.bytes": text})
	if err != nil || set.RetentionBytes <= 0 {
		return fmt.Errorf("want a size such as 256MiB, 1GiB or 1048576")
	}
	*s = size(set.RetentionBytes)
	return nil
}

// Type implements pflag.Value.
func (s *size) Type() string { return "size" }

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *size) UnmarshalYAML(n *yaml.Node) error {
	if err := s.Set(n.Value); err != nil {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %v", n.Line, err)}}
	}
	return nil
}

func envName(flag string) string {
	return "TROUPE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// bounds are those that must hold.
func (c *serveConfig) bounds() error {
	switch {
	case c.ConnectionsMax < 0:
		return usagef("--connections-max %d: want 1 or more, or 0 for the default", c.ConnectionsMax)
	case c.AddressConnectionsMax < 0:
		return usagef("--address-connections-max %d: want 1 or more, or 0 for the default", c.AddressConnectionsMax)
	case c.Idle <= 0:
		return usagef("--idle %s: want more than 0s", c.Idle)
	case min(c.CreditBytes, c.RequestBytes, c.AnswerBytes) < boundMin:
		return usagef("--credit-bytes %s, --request-bytes %s, --answer-bytes %s: want %s or more, for one frame must fit", &c.CreditBytes, &c.RequestBytes, &c.AnswerBytes, &boundMin)
	}
	return nil
}

// boundMin is the largest frame, and as much again.
var boundMin = size(16 << 20)

// fromEnvironment is the variable of a flag.
func fromEnvironment(flag string) (value, source string, there bool) {
	source = envName(flag)
	value, there = os.LookupEnv(source)
	return value, source, there
}
