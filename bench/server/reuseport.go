package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// addressVariable is where a worker with a socket of its own listens.
const addressVariable = "BENCH_ADDRESS"

// reusePort starts workers that listen on one address with a socket each, among which the
// kernel chooses by a hash of the client's address and port.
func reusePort(workers int) error {
	if address := os.Getenv(addressVariable); address != "" {
		return ownSocket(address)
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for range workers {
		cmd := exec.Command(self, "-policy", "reuseport")
		cmd.Env = append(os.Environ(), addressVariable+"="+address)
		cmd.Stderr = os.Stderr
		input, err := cmd.StdinPipe() // ends with this process
		if err != nil {
			return err
		}
		defer input.Close()
		ready, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		if _, err := fmt.Fscanln(ready, new(string)); err != nil {
			return err
		}
	}
	fmt.Println(address)
	untilInputEnds()
	return nil
}

// freeAddress returns an address that is free now.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// ownSocket is a worker.
func ownSocket(address string) error {
	config := net.ListenConfig{Control: func(_, _ string, socket syscall.RawConn) error {
		var err error
		control := socket.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		if control != nil {
			return control
		}
		return err
	}}
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	serveAlone(listener)
	return nil
}
