package main

import (
	"context"
	"flag"
	"net"

	"playing-with-processes/internal/ipc"
)

// handles measures how many handles a second reach the child, and are acknowledged.
func handles(args []string) (float64, error) {
	flags := flag.NewFlagSet("handles", flag.ContinueOnError)
	n := flags.Int("n", 1, "handles in flight")
	if err := flags.Parse(args); err != nil {
		return 0, err
	}
	conn, err := connect()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	child, err := startChild("", "take")
	if err != nil {
		return 0, err
	}
	defer endChild(child)
	return callsPerSecond(*n, func() error { return child.SendHandle(context.Background(), "conn", conn) })
}

// connect returns a connection. Nothing reads at its other end.
func connect() (*net.TCPConn, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// take closes each connection that it receives.
func take([]string) error {
	parent, err := ipc.Parent()
	if err != nil {
		return err
	}
	for m, err := range parent.Messages() {
		if err != nil {
			return nil
		}
		conn, err := m.Conn()
		if err != nil {
			return err
		}
		conn.Close()
	}
	return nil
}
