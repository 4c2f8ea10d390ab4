package ipc_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"playing-with-processes/internal/ipc"
)

func init() { ipc.AddRole("example-serve", serve) }

// serve is the child. It accepts one connection on the listener that its parent sends.
func serve() {
	parent, err := ipc.Parent()
	if err != nil {
		log.Fatal(err)
	}
	message, err := parent.Receive()
	if err != nil {
		log.Fatal(err)
	}
	listener, err := message.Listener()
	if err != nil {
		log.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		log.Fatal(err)
	}
	io.WriteString(conn, "hello from the child")
	conn.Close()
	parent.Disconnect()
}

// The parent opens a port, and the child serves it.
func ExampleChannel_SendHandle() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	child, err := ipc.Fork(ipc.Self("example-serve"))
	if err != nil {
		log.Fatal(err)
	}
	defer child.Wait()
	defer child.Disconnect()
	if err := child.SendHandle(context.Background(), "server", listener.(*net.TCPListener)); err != nil {
		log.Fatal(err)
	}

	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	text, err := io.ReadAll(conn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", text)
	// Output: hello from the child
}
