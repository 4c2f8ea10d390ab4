package ipc_test

import (
	"context"
	"fmt"
	"log"

	"playing-with-processes/internal/ipc"
)

// One system call sends all three numbers. The child receives them one by one.
func ExampleChannel_SendBatch() {
	child, err := ipc.Fork(ipc.Self("example-square"))
	if err != nil {
		log.Fatal(err)
	}
	defer child.Wait()
	defer child.Disconnect()

	if err := child.SendBatch(context.Background(), 1, 2, 3); err != nil {
		log.Fatal(err)
	}
	for range 3 {
		answer, err := child.Receive()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", answer.Data)
	}
	// Output:
	// 1
	// 4
	// 9
}
