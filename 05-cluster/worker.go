package main

import (
	"context"
	"errors"
	"flag"
	"net"
	"strings"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/program"
	"playing-with-processes/internal/site"
)

const defaultAddr = "127.0.0.1:1337"

// worker is a server like any other, but for two words: cluster.Listen and
// cluster.Serve are net.Listen and http.Serve elsewhere.
func worker(ctx context.Context, args []string) error {
	addr, err := address(args)
	if err != nil {
		return err
	}
	// SIGTERM to this worker alone is a wish to leave.
	defer context.AfterFunc(ctx, func() { cluster.Leave() })()
	listener, err := cluster.Listen("tcp", addr)
	if errors.Is(err, net.ErrClosed) { // it is to leave already
		return nil
	}
	if err != nil {
		return err
	}
	say.Printf("serving on http://%v", listener.Addr())
	return cluster.Serve(listener, site.New())
}

// address is what the primary tells this worker on its command line. Node's primary
// puts the path of a module before it.
func address(args []string) (addr string, err error) {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		args = args[1:]
	}
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.StringVar(&addr, "addr", defaultAddr, "")
	return addr, program.Parse(flags, args)
}
