// Package program is what the chapters' commands have in common: how they take
// their arguments, how they end, and how a line tells who speaks.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes of every program. 130 is what a shell reports for one that Ctrl-C
// has ended: 128 and the number of the signal.
const (
	exitFailure     = 1
	exitMisuse      = 2
	exitInterrupted = 130
)

// Misuse is a fault of whoever typed the command, and not of the program.
type Misuse string

func (m Misuse) Error() string { return string(m) }

// Misusef is a formatted Misuse.
func Misusef(format string, args ...any) error { return Misuse(fmt.Sprintf(format, args...)) }

// Failure is an error that counts, whether Ctrl-C came after it or not.
type Failure string

func (f Failure) Error() string { return string(f) }

// ErrInterrupted is for a program that learns of Ctrl-C from a child that it has
// killed: the terminal sends the signal to both, and may be heard here later.
var ErrInterrupted = errors.New("interrupted")

// Main runs a program and ends the process. The context of run ends with Ctrl-C,
// SIGTERM, or when the terminal is closed; a second of these ends the process at
// once. What run returns is told in one line and in the exit code: a Misuse
// is 2, a Failure 1, any other error after the end of the context 130, ErrInterrupted
// too, and every other error 1. flag.ErrHelp prints the usage.
func Main(name, usage string, run func(ctx context.Context, args []string) error) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as it is under nohup
		signals = append(signals, syscall.SIGHUP)
	}
	// What a background job of a script ignores from the start, and what the first
	// process of a container does not handle (pid_namespaces(7)), would not end it.
	spared := signal.Ignored(os.Interrupt) || os.Getpid() == 1
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, signals...)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-heard
		if !spared {
			signal.Stop(heard) // the next one ends the process
		}
		cancel()
		if spared {
			<-heard
			os.Exit(exitInterrupted)
		}
	}()
	err := run(ctx, os.Args[1:])
	os.Exit(conclude(name, usage, err, ctx.Err() != nil))
}

func conclude(name, usage string, err error, interrupted bool) int {
	complain := func(what string, code int) int {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, oneLine(what))
		return code
	}
	var misuse Misuse
	var failure Failure
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
		return 0
	case errors.As(err, &misuse):
		return complain(err.Error()+" (-h explains)", exitMisuse)
	case errors.As(err, &failure):
		return complain(err.Error(), exitFailure)
	case interrupted || errors.Is(err, ErrInterrupted):
		return complain(ErrInterrupted.Error(), exitInterrupted)
	}
	return complain(err.Error(), exitFailure)
}

// oneLine joins what errors.Join and others have put on several.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// Parse parses args, and leaves it to Main to complain.
func Parse(flags *flag.FlagSet, args []string) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return Misuse(err.Error())
	}
	return err
}

// Speaker returns a logger whose lines say who speaks, in which process:
// several of them write to the same terminal.
func Speaker(role string) *log.Logger {
	return log.New(os.Stdout, fmt.Sprintf("[%s %d] ", role, os.Getpid()), 0)
}

// Command is the command that line stands for, split at blanks, on this
// program's own streams. It is nil if there is none in it.
func Command(line string) *exec.Cmd {
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}
