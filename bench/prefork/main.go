// Command prefork is fasthttp's prefork: a server other than net/http, with workers that accept
// from one socket. It answers, has WORKERS processes and ends as program server does.
package main

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/prefork"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "prefork:", err)
		os.Exit(1)
	}
}

func run() error {
	workers, err := strconv.Atoi(cmp.Or(os.Getenv("WORKERS"), "2"))
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(workers) // as many workers are started
	p := prefork.New(&fasthttp.Server{Handler: answer})
	p.Logger = log.New(io.Discard, "", 0)
	p.OnMasterDeath = func() { os.Exit(0) }
	if prefork.IsChild() {
		return p.ListenAndServe("") // on the socket of the parent
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	p.OnMasterReady = func(children []int) error {
		go endWithInput(slices.Clone(children))
		_, err := fmt.Println(address)
		return err
	}
	return p.ListenAndServe(address)
}

// endWithInput ends all processes. fasthttp would let the children run on for a while.
func endWithInput(children []int) {
	io.Copy(io.Discard, os.Stdin)
	for _, pid := range children {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	os.Exit(0)
}

func answer(ctx *fasthttp.RequestCtx) {
	if string(ctx.Path()) == "/pid" {
		fmt.Fprintln(ctx, os.Getpid())
		return
	}
	ctx.WriteString("hello\n")
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
