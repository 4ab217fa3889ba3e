package service_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// Brokers need Linux; services and clients do not: they are built for what their
// authors work on.
func TestServicesAndClientsBuildForOtherSystems(t *testing.T) {
	for _, system := range []string{"darwin", "windows"} {
		t.Run(system, func(t *testing.T) {
			build := exec.CommandContext(t.Context(), "go", "build", "./service", "./gateway/client")
			build.Dir = ".."
			build.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
			out, err := build.CombinedOutput()
			require.NoError(t, err, "repeat it: GOOS=%s go build ./service ./gateway/client\n%s", system, out)
		})
	}
}
