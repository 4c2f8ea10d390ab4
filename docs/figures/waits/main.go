// Command waits starts as many goroutines, or threads, as its parent says, and answers when
// they wait. waits.js is the same for Node.
package main

import (
	"context"
	"log"
	"os"
	"runtime"
	"sync"
	"syscall"

	"playing-with-processes/internal/ipc"
)

func main() {
	parent, err := ipc.Parent()
	if err != nil {
		log.Fatal(err)
	}
	wait := waitInGoroutine
	if os.Args[1] == "threads" {
		wait = waitInThread
	}
	for message, err := range parent.Messages() {
		var n int
		if err == nil {
			err = message.Decode(&n)
		}
		if err != nil {
			log.Fatal(err)
		}
		start(n, wait)
		parent.Send(context.Background(), "waiting")
	}
}

// start returns when n more goroutines wait.
func start(n int, wait func(started func())) {
	var starting sync.WaitGroup
	starting.Add(n)
	for range n {
		go wait(starting.Done)
	}
	starting.Wait()
}

// waitInGoroutine waits without a thread.
func waitInGoroutine(started func()) {
	started()
	select {}
}

// waitInThread keeps a thread in a system call.
func waitInThread(started func()) {
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil {
		log.Fatal(err)
	}
	runtime.LockOSThread()
	started()
	syscall.Read(pipe[0], make([]byte, 1)) // the pipe stays open, and empty
}
