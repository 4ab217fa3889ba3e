package codec

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIdentities(t *testing.T) {
	for _, c := range []struct {
		uris []string
		want Identity
	}{
		{[]string{"troupe://broker/n1"}, Identity{RoleBroker, "n1"}},
		{[]string{"troupe://service/billing.eu-1"}, Identity{RoleService, "billing.eu-1"}},
		{[]string{"https://example.com/", "troupe://client/Ann_1"}, Identity{RoleClient, "Ann_1"}},
		{[]string{"troupe://broker/" + strings.Repeat("n", 255)}, Identity{RoleBroker, strings.Repeat("n", 255)}},
	} {
		got, err := ParseIdentity(c.uris)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
		require.Equal(t, c.uris[len(c.uris)-1], got.String())
	}
}

// Whatever is not exactly one identity, written exactly so, is none.
func TestStrangeIdentitiesAreRefused(t *testing.T) {
	for _, uris := range [][]string{
		nil,
		{""},
		{"spiffe://broker/n1"},
		{"troupe://broker/n1", "troupe://broker/n2"},
		{"troupe://broker/n1", "troupe://broker/n1"},
		{"troupe://broker/n1", "TROUPE://service/n1"},
		{"TROUPE://broker/n1"},
		{"Troupe://broker/n1"},
		{"troupe:broker/n1"},
		{"troupe:///broker/n1"},
		{"troupe://broker"},
		{"troupe://broker/"},
		{"troupe:///n1"},
		{"troupe://Broker/n1"},
		{"troupe://root/n1"},
		{"troupe://broker/n1/"},
		{"troupe://broker//n1"},
		{"troupe://broker/n1/n2"},
		{"troupe://broker/n%31"},
		{"troupe://broker/n1?x"},
		{"troupe://broker/n1#x"},
		{"troupe://n1@broker/n1"},
		{"troupe://broker:9651/n1"},
		{"troupe://broker/n1\x00"},
		{"troupe://broker/n1,troupe://broker/n2"},
		{"troupe://broker/."},
		{"troupe://broker/.."},
		{"troupe://broker/é"},
		{" troupe://broker/n1"},
		{"troupe://broker/" + strings.Repeat("n", 256)},
	} {
		_, err := ParseIdentity(uris)
		require.Error(t, err, "%q", uris)
	}
}

func FuzzIdentity(f *testing.F) {
	f.Add("troupe://broker/n1", "https://example.com")
	f.Add("troupe://service/s", "TROUPE://broker/n1")
	f.Add("troupe://client/a%62", "")
	f.Fuzz(func(t *testing.T, a, b string) {
		if i, err := ParseIdentity([]string{a, b}); err == nil {
			require.NoError(t, i.Check())
			require.True(t, i.String() == a || i.String() == b)
			require.False(t, strings.HasPrefix(strings.ToLower(a), identityScheme) && strings.HasPrefix(strings.ToLower(b), identityScheme))
		}
	})
}
