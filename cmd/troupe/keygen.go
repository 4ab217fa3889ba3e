package main

import (
	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/cluster/member"
)

func newKeygen(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "keygen", Short: "Make a key of the gossip between brokers", Args: cobra.NoArgs,
		Long: `Make a key for --gossip-key, the same file on all brokers of a cluster. The file
may have several, one a line: the first encrypts, all are understood. To change
the key add the new one behind the old on every broker, then put it in front on
every broker, then take the old one out; each wants a restart.`,
		Example: "  troupe keygen > gossip.key && chmod 600 gossip.key",
		RunE:    func(*cobra.Command, []string) error { return tell(s, "%s\n", member.NewKey()) },
	}
}
