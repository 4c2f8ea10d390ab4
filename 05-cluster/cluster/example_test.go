package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"

	"playing-with-processes/05-cluster/cluster"
)

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })

// A program is its own worker: IsPrimary says which of the two it is. The workers of this
// example run only this example.
func ExampleSetupPrimary() {
	if !cluster.IsPrimary() {
		listener, err := cluster.Listen("tcp", "127.0.0.1:0")
		if errors.Is(err, net.ErrClosed) { // it must leave already
			os.Exit(0)
		}
		if err != nil {
			log.Fatal(err)
		}
		cluster.Serve(listener, hello)
		os.Exit(0)
	}
	primary, err := cluster.SetupPrimary(cluster.Settings{
		Command: func(_, _ int) *exec.Cmd { return exec.Command(os.Args[0], "-test.run=^ExampleSetupPrimary$") },
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := primary.Scale(2); err != nil {
		log.Fatal(err)
	}
	for event := range primary.Events() {
		if listening, ok := event.(cluster.Listening); ok {
			fmt.Println(get(listening.Address))
			break
		}
	}
	fmt.Println(primary.Shutdown(context.Background()))
	// Output:
	// hello
	// <nil>
}

// A primary and its worker talk: worker.send and cluster.on('message') here, and
// process.on('message') and process.send there.
func ExamplePrimary_Messages() {
	ctx := context.Background()
	if !cluster.IsPrimary() {
		go func() {
			<-cluster.Leaving()
			os.Exit(0)
		}()
		for message := range cluster.Messages() {
			var name string
			message.Decode(&name)
			cluster.Send(ctx, fmt.Sprintf("hello, %s, from slot %d", name, cluster.Slot()))
		}
	}
	primary, err := cluster.SetupPrimary(cluster.Settings{
		Command: func(_, _ int) *exec.Cmd { return exec.Command(os.Args[0], "-test.run=^ExamplePrimary_Messages$") },
	})
	if err != nil {
		log.Fatal(err)
	}
	worker, err := primary.Fork()
	if err != nil {
		log.Fatal(err)
	}
	worker.Send(ctx, "primary")
	for worker, message := range primary.Messages() {
		var text string
		message.Decode(&text)
		fmt.Println(text)
		worker.Leave()
		break
	}
	fmt.Println(primary.Shutdown(ctx))
	// Output:
	// hello, primary, from slot 0
	// <nil>
}

// In a process that no primary has forked, Listen is net.Listen.
func ExampleListen() {
	listener, err := cluster.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	fmt.Println(listener.Addr().(*net.TCPAddr).IP)
	// Output: 127.0.0.1
}

// In a process that no primary has forked, Serve is http.Serve.
func ExampleServe() {
	listener, err := cluster.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go cluster.Serve(listener, hello)
	fmt.Println(get(listener.Addr().String()))
	// Output: hello
}

// get returns the page at an address.
func get(address string) string {
	response, err := http.Get("http://" + address)
	if err != nil {
		log.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections() // an idle connection would delay the worker's end
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	return string(page)
}
