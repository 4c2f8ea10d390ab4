package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// The benchmarks measure this project alone, in little time and with a profile if you like. The
// machine is always a little busy, so one figure says little. The script compare runs them in
// turn with those of another version, and shows by how much they differ.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "role" {
		if err := runRole(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	build := exec.Command("go", "build", "-o", "bin/", "./...")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func fatal(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
