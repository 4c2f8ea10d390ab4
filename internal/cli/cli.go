// Package cli is what the chapters' commands share: how they parse their arguments, how
// they end, and how a line of output names its process.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Exit codes of every command. A shell reports 130 for a command that Ctrl-C has ended:
// 128 and the number of the signal.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// UsageError is a mistake on the command line.
type UsageError string

func (e UsageError) Error() string { return string(e) }

// Usagef returns a formatted UsageError.
func Usagef(format string, args ...any) error { return UsageError(fmt.Sprintf(format, args...)) }

// LastingError is an error that Main reports even if Ctrl-C came after it.
type LastingError string

func (e LastingError) Error() string { return string(e) }

// Lasting returns err as a LastingError, or nil if there is no error.
func Lasting(err error) error {
	if err == nil {
		return nil
	}
	return LastingError(err.Error())
}

// Unfinished returns an error if some workers did not finish their requests in time.
func Unfinished(workers int) error {
	switch workers {
	case 0:
		return nil
	case 1:
		return LastingError("1 worker did not finish in time")
	}
	return LastingError(fmt.Sprintf("%d workers did not finish in time", workers))
}

// ErrInterrupted is for a command that sees that Ctrl-C has killed its child: the terminal
// sends the signal to both, and it may reach the command later than the child.
var ErrInterrupted = errors.New("interrupted")

// Main runs a command and ends the process. The context of run ends with Ctrl-C, with
// SIGTERM, or when the terminal is closed; a second such signal, unless it comes within
// SecondSignal, ends the process at once.
// Main reports the error of run in one line, and in the exit code: 2 for a UsageError, 1
// for a LastingError, 130 for ErrInterrupted and for any other error after the context has
// ended, and 1 for every other error, also if Stdout could not be written. For flag.ErrHelp it
// prints the usage.
func Main(name, usage string, run func(ctx context.Context, args []string) error) {
	ctx := untilSignal()
	err := startPoller()
	if err == nil {
		err = run(ctx, os.Args[1:])
	}
	os.Exit(exitCode(name, usage, err, ctx.Err() != nil))
}

// SecondSignal is when a signal counts as the second one. Before, it is the first one again:
// timeout(1) signals a process and then its group, and after Ctrl-C npm sends SIGINT to a
// process that has it from the terminal.
const SecondSignal = 200 * time.Millisecond

// untilSignal returns a context that ends with the first signal.
func untilSignal() context.Context {
	// The first process of a container ignores each signal that it does not handle
	// (pid_namespaces(7)). Their default action would not end the process, so we must.
	init := os.Getpid() == 1
	signals := []os.Signal{syscall.SIGTERM}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if init || !signal.Ignored(s) { // as SIGINT is in a script's background job, and SIGHUP under nohup
			signals = append(signals, s)
		}
	}
	received := make(chan os.Signal, 1)
	signal.Notify(received, signals...)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-received
		cancel()
		receiveFor(received, SecondSignal)
		if !init {
			signal.Stop(received) // the next signal ends the process
			return
		}
		<-received
		os.Exit(exitInterrupted)
	}()
	return ctx
}

// receiveFor receives signals, which do nothing, for a while.
func receiveFor(signals <-chan os.Signal, d time.Duration) {
	for over := time.After(d); ; {
		select {
		case <-signals:
		case <-over:
			return
		}
	}
}

// exitCode reports err in one line, and returns the exit code for it.
func exitCode(name, usage string, err error, interrupted bool) int {
	report := func(what string, code int) int {
		lines := strings.FieldsFunc(what, func(r rune) bool { return r == '\n' || r == '\r' })
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, strings.Join(lines, "; "))
		return code
	}
	var wrongUse UsageError
	var lasting LastingError
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(Stdout, usage)
		err = nil
	}
	if err == nil {
		err = Stdout.failure()
		interrupted = false
	}
	switch {
	case err == nil:
		return 0
	case Stdout.failure() != nil && errors.Is(err, syscall.EPIPE): // nothing reads the output
		return exitFailure
	case errors.As(err, &wrongUse):
		return report(err.Error()+" (-h explains)", exitUsage)
	case errors.As(err, &lasting):
		return report(err.Error(), exitFailure)
	case interrupted || errors.Is(err, ErrInterrupted):
		return report(ErrInterrupted.Error(), exitInterrupted)
	}
	return report(err.Error(), exitFailure)
}

// Parse parses args. A mistake in them is a UsageError, which Main reports.
func Parse(flags *flag.FlagSet, args []string) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return UsageError(err.Error())
	}
	return err
}

// Command returns the command that line stands for, split at blanks, on this process's own
// streams. It returns nil for an empty line.
func Command(line string) *exec.Cmd {
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// Given returns the names of the flags that stand on the command line.
func Given(flags *flag.FlagSet) map[string]bool {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	return given
}
