package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// cpuTime is the processor time that this process has used so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // fails for another first argument only
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// pss is the memory of a process in bytes: its own pages, and its part of those
// that it shares with others, such as the program itself: proc_pid_smaps(5).
// It is 0 where the kernel does not tell, as macOS's.
func pss(pid int) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "Pss: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10
		}
	}
	return 0
}

// goroutineMemory is what one more goroutine takes while it waits, in bytes.
func goroutineMemory() int64 {
	const many = 1000
	before := memoryInUse()
	var started, ended sync.WaitGroup
	release := make(chan struct{})
	started.Add(many)
	for range many {
		ended.Go(func() {
			started.Done()
			<-release
		})
	}
	started.Wait()
	used := memoryInUse() - before
	close(release)
	ended.Wait()
	return used / many
}

func memoryInUse() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.StackInuse + stats.HeapInuse)
}
