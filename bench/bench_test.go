// Package bench measures what the channel and the cluster cost. It is a module of its own, so
// that its needs stay out of go.mod.
//
// The machine is always a little busy, so one figure says little. The script compare runs
// these benchmarks in turn with those of another version, and shows by how much they differ.
package bench

import (
	"fmt"
	"os"
	"testing"

	"playing-with-processes/05-cluster/cluster"
)

// roles are what this test binary does as a child.
var roles = map[string]func() error{
	"echo":  echo,
	"count": count,
	"greet": greet,
	"take":  take,
	"load":  load,
}

func TestMain(m *testing.M) {
	var role func() error
	switch {
	case !cluster.IsPrimary():
		role = serve
	case len(os.Args) > 1:
		role = roles[os.Args[1]]
	}
	if role == nil {
		os.Exit(m.Run())
	}
	if err := role(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
