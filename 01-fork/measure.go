package main

import (
	"runtime"
	"sync"
	"syscall"
	"time"
)

// cpuTime returns the processor time that this process has used so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // cannot fail for this process
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// goroutineMemory returns how much memory one more waiting goroutine takes, in bytes.
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
