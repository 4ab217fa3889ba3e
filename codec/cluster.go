package codec

// ClusterQuery asks for a ClusterView.
type ClusterQuery struct{}

// Op is OpCluster.
func (ClusterQuery) Op() Op { return OpCluster }

func (ClusterQuery) pack(p *packer)     { p.mapping(0) }
func (ClusterQuery) unpack(u *unpacker) { u.mapping("CLUSTER", func(string) bool { return false }) }

// ClusterView is the cluster as one broker sees it. Others may see another.
type ClusterView struct {
	Cluster UUID
	Node    NodeID // whose view it is
	// Controller leads the metadata; empty while nobody is known to.
	Controller NodeID
	Nodes      []ClusterNode // in order of name
}

// ClusterNode is a broker that belongs to the cluster.
type ClusterNode struct {
	Node    NodeID
	Address string // where clients reach it; empty when it does not say
	Link    string // where other brokers reach it
	Rack    string
	State   NodeState
	Votes   bool // on the metadata
	// Heard says that the broker whose view it is hears it, or is it; Trouble why not.
	Heard   bool
	Trouble string
}

// NodeState is what a node is to its cluster.
type NodeState string

// What nodes are.
const (
	NodeActive  NodeState = "active"
	NodeJoining NodeState = "joining" // it was let in and has not come yet
	NodeLeaving NodeState = "leaving" // it is being removed
)

func (v *ClusterView) pack(p *packer) {
	p.mapping(4)
	p.keyText("cluster", v.Cluster.String())
	p.keyText("node", string(v.Node))
	p.keyText("controller", string(v.Controller))
	p.text("nodes")
	p.array(len(v.Nodes))
	for i := range v.Nodes {
		v.Nodes[i].pack(p)
	}
}

func (v *ClusterView) unpack(u *unpacker) {
	u.mapping("cluster view", func(key string) bool {
		switch key {
		case "cluster":
			v.Cluster = u.uuid("cluster")
		case "node":
			v.Node = NodeID(u.text("node", nameMax))
		case "controller":
			v.Controller = NodeID(u.text("controller", nameMax))
		case "nodes":
			u.list("nodes", func() {
				var n ClusterNode
				n.unpack(u)
				v.Nodes = append(v.Nodes, n)
			})
		default:
			return false
		}
		return true
	})
}

func (n *ClusterNode) pack(p *packer) {
	p.mapping(8)
	p.keyText("node", string(n.Node))
	p.keyText("address", n.Address)
	p.keyText("link", n.Link)
	p.keyText("rack", n.Rack)
	p.keyText("state", string(n.State))
	p.text("votes")
	p.bool(n.Votes)
	p.text("heard")
	p.bool(n.Heard)
	p.keyText("trouble", n.Trouble)
}

func (n *ClusterNode) unpack(u *unpacker) {
	u.mapping("node", func(key string) bool {
		switch key {
		case "node":
			n.Node = NodeID(u.text("node", nameMax))
		case "address":
			n.Address = u.text("address", nameMax)
		case "link":
			n.Link = u.text("link", nameMax)
		case "rack":
			n.Rack = u.text("rack", nameMax)
		case "state":
			n.State = NodeState(u.text("state", nameMax))
		case "votes":
			n.Votes = u.bool("votes")
		case "heard":
			n.Heard = u.bool("heard")
		case "trouble":
			n.Trouble = u.text("trouble", troubleMax)
		default:
			return false
		}
		return true
	})
}

// RemoveNode has a broker leave the cluster for good. The answer is Empty, when that
// is decided.
type RemoveNode struct{ Node NodeID }

// Op is OpRemoveNode.
func (*RemoveNode) Op() Op { return OpRemoveNode }

func (r *RemoveNode) pack(p *packer) {
	p.mapping(1)
	p.keyText("node", string(r.Node))
}

func (r *RemoveNode) unpack(u *unpacker) {
	u.mapping("REMOVE_NODE", func(key string) bool {
		if key == "node" {
			r.Node = NodeID(u.text("node", nameMax))
			return true
		}
		return false
	})
}

// troubleMax bounds a sentence about a node, in bytes.
const troubleMax = 1024
