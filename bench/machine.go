package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine is where the figures come from.
type machine struct {
	Date, CPU, Kernel, Go string
	Cores                 int
	Runtimes              []scriptRuntime
}

func describeMachine(runtimes []scriptRuntime) machine {
	return machine{
		Date: time.Now().Format(time.DateOnly), CPU: processorModel(), Kernel: kernel(),
		Go: strings.TrimPrefix(runtime.Version(), "go"), Cores: runtime.NumCPU(),
		Runtimes: runtimes,
	}
}

// processorModel returns the name of the CPU, or its architecture where the kernel does not tell.
func processorModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(text), "model name")
	line, _, _ := strings.Cut(rest, "\n")
	if name := strings.Trim(line, "\t :"); name != "" {
		return name
	}
	return runtime.GOARCH
}

func kernel() string {
	output, _ := exec.Command("uname", "-sr").Output()
	return strings.TrimSpace(string(output))
}
