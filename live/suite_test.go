package live

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(asKeeper); name != "" {
		keepSilently(name)
	}
	goleak.VerifyTestMain(m)
}
