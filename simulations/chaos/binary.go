package chaos

import (
	"context"
	"fmt"
	"os/exec"
)

// command is the package of the binary.
const command = "github.com/troupe-mq/troupe/cmd/troupe"

// Build builds the broker's binary into the file out, with more flags of `go
// build` when they are given. The working directory must be inside the module.
func Build(ctx context.Context, out string, flags ...string) error {
	args := append([]string{"build", "-o", out}, flags...)
	if said, err := exec.CommandContext(ctx, "go", append(args, command)...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", command, err, said)
	}
	return nil
}
