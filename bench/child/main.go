// Command child is the smallest child: it says hello and ends with its channel.
package main

import (
	"context"
	"os"

	"playing-with-processes/internal/ipc"
)

func main() {
	parent, err := ipc.Parent()
	if err != nil {
		os.Exit(1)
	}
	if parent.Send(context.Background(), "hello") == nil {
		parent.Receive()
	}
}
