package main

import (
	"runtime"
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
