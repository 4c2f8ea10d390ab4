package main

import (
	"context"
	"flag"
	"fmt"
	"os/exec"
	"strings"

	"playing-with-processes/internal/ipc"
)

// number is the small message: 20 bytes on the wire, with its newline.
type number struct {
	Number int `json:"number"`
}

// record is every larger message.
type record struct {
	Text string `json:"text"`
}

const (
	smallSize = 20 // of a number
	// window is how many sends the receiver answers together. Two windows are on the way,
	// so that the receiver does not wait for the sender.
	window = 64
)

// message returns a value that takes so many bytes on the wire.
func message(size int) any {
	if size <= smallSize {
		return number{12345678}
	}
	const sentence = "The parent sends a message and the child receives it. "
	length := size - len(`{"text":""}`+"\n")
	return record{strings.Repeat(sentence, length/len(sentence)+1)[:length]}
}

// startChild forks this program in a role, on a CPU of its own if cpu is not "".
func startChild(cpu string, role ...string) (*ipc.Child, error) {
	cmd := ipc.Self(append([]string{"role"}, role...)...)
	if cpu != "" {
		cmd = exec.Command("taskset", append([]string{"-c", cpu}, cmd.Args...)...)
	}
	return ipc.Fork(cmd)
}

// endChild ends a child, which ends with its channel.
func endChild(child *ipc.Child) {
	child.Disconnect()
	child.Wait()
}

// receive decodes the next message.
func receive(channel *ipc.Channel, v any) error {
	m, err := channel.Receive()
	if err != nil {
		return err
	}
	return m.Decode(v)
}

// roundTrip measures how many microseconds a message takes to the child and back.
func roundTrip(args []string) (float64, error) {
	flags := flag.NewFlagSet("roundtrip", flag.ContinueOnError)
	cpu := flags.String("child-cpu", "", "the CPU of the child")
	if err := flags.Parse(args); err != nil {
		return 0, err
	}
	child, err := startChild(*cpu, "echo")
	if err != nil {
		return 0, err
	}
	defer endChild(child)
	rate, err := callsPerSecond(1, func() error { return talk(child.Channel) })
	return 1e6 / rate, err
}

// talk makes one round trip.
func talk(channel *ipc.Channel) error {
	if err := channel.Send(context.Background(), message(smallSize)); err != nil {
		return err
	}
	var value number
	return receive(channel, &value)
}

// echo sends each message back.
func echo([]string) error {
	parent, err := ipc.Parent()
	for err == nil {
		var value number
		if err := receive(parent, &value); err != nil {
			return nil // the parent has what it needs
		}
		err = parent.Send(context.Background(), value)
	}
	return err
}

// oneWay measures how many messages a second reach the child.
func oneWay(args []string) (float64, error) {
	flags := flag.NewFlagSet("oneway", flag.ContinueOnError)
	size := flags.Int("size", smallSize, "bytes of a message")
	batch := flags.Int("batch", 1, "messages in one call")
	as := flags.String("as", "value", "what the receiver makes of a message: value, any or raw")
	if err := flags.Parse(args); err != nil {
		return 0, err
	}
	s, err := startStream(*size, *batch, *as)
	if err != nil {
		return 0, err
	}
	defer endChild(s.child)
	rate, err := callsPerSecond(1, s.sendWindow)
	return rate * float64(s.sends**batch), err
}

// stream is a child that counts what it receives.
type stream struct {
	child  *ipc.Child
	values []any // of one call
	sends  int   // in a window
	onWay  int   // windows without an answer
}

// startStream starts a child for messages of a size. If it takes them as raw, they are JSON
// already.
func startStream(size, batch int, as string) (*stream, error) {
	value := message(size)
	if as == "raw" {
		value = encoded(value)
	}
	s := &stream{sends: sendsOf(size)}
	for range batch {
		s.values = append(s.values, value)
	}
	if as == "value" {
		as = fmt.Sprintf("%T", value)
	}
	var err error
	s.child, err = startChild("", "count", fmt.Sprint(s.sends*batch), as)
	return s, err
}

// sendsOf returns how many sends of a size are a window: fewer if messages are so long that
// the sender waits for the receiver in the midst of one.
func sendsOf(size int) int { return max(2, min(window, (1<<20)/size)) }

// sendWindow sends one window. It waits for the answer to the window before.
func (s *stream) sendWindow() error {
	for range s.sends {
		if err := s.send(); err != nil {
			return err
		}
	}
	if s.onWay++; s.onWay < 2 {
		return nil
	}
	s.onWay--
	var answer int
	return receive(s.child.Channel, &answer)
}

func (s *stream) send() error {
	if len(s.values) == 1 {
		return s.child.Send(context.Background(), s.values[0])
	}
	return s.child.SendBatch(context.Background(), s.values...)
}
