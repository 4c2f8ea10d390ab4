package ipc

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func init() { roles["echo"] = echoMessages }

// echoMessages sends back each message with its handle.
func echoMessages() {
	parent := mustParent()
	for msg, err := range parent.Messages() {
		if err != nil {
			panic(err)
		}
		// Not in the loop: while it waited for the acknowledgement, handles would
		// accumulate until some are rejected.
		go sendBack(parent, msg)
	}
}

func sendBack(c *Channel, msg Message) {
	var err error
	if conn, none := msg.Conn(); none == nil {
		err = c.SendHandle(context.Background(), msg.Data, conn.(syscall.Conn))
		conn.Close()
	} else {
		err = c.Send(context.Background(), msg.Data)
	}
	if err != nil {
		panic(err)
	}
}

// soak returns how often a long test repeats: few times, or many with SOAK set.
func soak(few, many int) int {
	if os.Getenv("SOAK") != "" {
		return many
	}
	return few
}

// Any number of children, several at a time, must leave no descriptor, goroutine or
// zombie.
func TestSoakForks(t *testing.T) {
	noLeaks(t)
	const atATime = 4
	var wg sync.WaitGroup
	errs := make(chan error, atATime)
	for range atATime {
		wg.Go(func() {
			for range soak(20, 1000) / atATime {
				if err := forkOnce(t.Context()); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	require.NoError(t, <-errs)
}

// forkOnce forks a child, exchanges one message with it, and ends it.
func forkOnce(ctx context.Context) error {
	child, err := Fork(Self("echo"))
	if err != nil {
		return err
	}
	if err := child.Send(ctx, "hello"); err != nil {
		return err
	}
	for _, err := range child.Messages() {
		if err != nil {
			return err
		}
		break
	}
	child.Disconnect()
	exit, err := child.Wait()
	if err == nil && exit != (Exit{}) {
		err = errors.New(exit.String())
	}
	return err
}

// Any number of handles, to a child and back, several at a time, must leave no
// descriptor. Each message comes back with its own handle.
func TestSoakHandles(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "echo"))
	const senders = 8
	each := soak(200, 10_000) / senders
	var ends sync.Map // by message: the near end of its connection
	var wg sync.WaitGroup
	defer wg.Wait()
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				if err := sendOne(t.Context(), child.Channel, s*each+i, &ends); err != nil {
					t.Error(err)
					child.Disconnect()
					return
				}
			}
		})
	}
	for range senders * each {
		msg := receive(t, child.Channel)
		var id int
		require.NoError(t, msg.Decode(&id))
		end, sent := ends.LoadAndDelete(id)
		require.True(t, sent)
		requireConnected(t, end.(net.Conn), msg)
	}
	child.Disconnect()
	requireExit(t, Exit{}, child)
}

func sendOne(ctx context.Context, c *Channel, id int, ends *sync.Map) error {
	ours, theirs, err := connPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	ends.Store(id, ours)
	return c.SendHandle(ctx, id, theirs)
}

// connPair returns the two ends of a connection.
func connPair() (a, b *net.UnixConn, err error) {
	fdA, fdB, err := socketpair()
	if err != nil {
		return nil, nil, err
	}
	fileA, fileB := os.NewFile(uintptr(fdA), ""), os.NewFile(uintptr(fdB), "")
	defer fileA.Close()
	defer fileB.Close()
	connA, errA := net.FileConn(fileA)
	connB, errB := net.FileConn(fileB)
	if err := errors.Join(errA, errB); err != nil {
		return nil, nil, err
	}
	return connA.(*net.UnixConn), connB.(*net.UnixConn), nil
}

// requireConnected requires that the handle of msg is the other end, and closes both.
func requireConnected(t *testing.T, end net.Conn, msg Message) {
	t.Helper()
	defer end.Close()
	conn, err := msg.Conn()
	require.NoError(t, err)
	_, err = conn.Write(msg.Data)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	got, err := io.ReadAll(end)
	require.NoError(t, err)
	require.Equal(t, string(msg.Data), string(got))
}
