package ipc_test

import (
	"context"
	"fmt"
	"log"

	"playing-with-processes/internal/ipc"
)

func init() { ipc.AddRole("example-square", square) }

// square is the child. It answers each number with its square until the parent
// disconnects.
func square() {
	parent, err := ipc.Parent()
	if err != nil {
		log.Fatal(err)
	}
	for message := range parent.Messages() {
		var n int
		if err := message.Decode(&n); err != nil {
			log.Fatal(err)
		}
		if err := parent.Send(context.Background(), n*n); err != nil {
			log.Fatal(err)
		}
	}
}

// Fork a child, send it a message, receive its answer, and end it.
func ExampleFork() {
	child, err := ipc.Fork(ipc.Self("example-square"))
	if err != nil {
		log.Fatal(err)
	}
	if err := child.Send(context.Background(), 12); err != nil {
		log.Fatal(err)
	}
	answer, err := child.Receive()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", answer.Data)

	child.Disconnect()
	exit, err := child.Wait()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("exit:", exit)
	// Output:
	// 144
	// exit: code 0
}
