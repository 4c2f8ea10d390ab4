package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"playing-with-processes/internal/cli"
)

// demonstrate compares the four methods on one program, and then shows the two most common
// mistakes.
func demonstrate(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := checkLimits(ctx, self); err != nil {
		return err
	}
	say.Printf("one program, with each of the four methods, in %d cases:\n\n", len(rows))
	if err := compare(ctx, cli.Stdout, self); err != nil {
		return err
	}
	fmt.Fprintln(cli.Stdout)
	if err := showInjection(ctx); err != nil {
		return err
	}
	fmt.Fprintln(cli.Stdout)
	return showUnread(ctx, self)
}

// checkLimits finds out whether processes can be started at all, so that one error does not
// fill the table. It starts four at a time, which is more than any case needs.
func checkLimits(ctx context.Context, self string) (err error) {
	var started []*Process
	for len(started) < 4 && err == nil {
		var p *Process
		if p, err = Spawn(ctx, Options{}, self, "child", "talk"); err == nil {
			started = append(started, p)
		}
	}
	for _, p := range started {
		stderr, _ := io.ReadAll(p.Stderr) // its few words on the other stream fit into the pipe
		if failed := p.Wait(); failed != nil {
			reason, _, _ := strings.Cut(string(stderr), "\n")
			err = fmt.Errorf("%w: %s", failed, reason)
		}
	}
	return err
}

// showInjection reads a file by a name that comes from outside.
func showInjection(ctx context.Context) error {
	const name = `none; echo "I was run, too"`
	say.Printf("a file name that comes from outside: %s", name)
	say.Print(`exec, "cat " + name: the shell interprets the name`)
	err1 := showOutput(Exec(ctx, Options{}, "cat "+name))
	say.Print(`execFile, "cat", name: no shell`)
	err2 := showOutput(ExecFile(ctx, Options{}, "cat", name))
	say.Print(`execFile, "sh", "-c", 'cat "$1"', "sh", name: data to this shell`)
	err3 := showOutput(ExecFile(ctx, Options{}, shell, "-c", `cat "$1"`, "sh", name))
	return cmp.Or(err1, err2, err3, ctx.Err())
}

// showOutput shows what a program printed. That it failed is no error: it prints why.
func showOutput(stdout, stderr []byte, err error) error {
	for line := range strings.Lines(string(stderr) + string(stdout)) {
		fmt.Fprint(cli.Stdout, "    ", line)
	}
	if exit := new(ExitError); errors.As(err, &exit) {
		return nil
	}
	return err
}

// showUnread spawns a program that writes, and reads nothing until the program is stuck.
func showUnread(ctx context.Context, self string) error {
	const size = 1 << 20
	p, err := Spawn(ctx, Options{}, self, "child", "flood-progress", fmt.Sprint(size))
	if err != nil {
		return err
	}
	say.Printf("spawned %d, to write %d bytes that are not read", p.pid, size)
	progress := make(chan string, size/lineSize)
	go func() {
		for lines := bufio.NewScanner(p.Stderr); lines.Scan(); {
			progress <- lines.Text()
		}
		close(progress)
	}()
	say.Printf("it has written %s, and is stuck: the pipe is full", lastLine(progress))

	read, err := io.Copy(io.Discard, p.Stdout)
	for range progress { // to the end, before Wait closes the stream
	}
	say.Printf("now they are read: %d bytes, and it ends: %s", read, howItEnded(outcome{err: p.Wait()}))
	return errors.Join(err, ctx.Err())
}

// lastLine returns the last line before a pause, or before the end.
func lastLine(lines <-chan string) (last string) {
	for {
		select {
		case line, more := <-lines:
			if !more {
				return last
			}
			last = line
		case <-time.After(pause):
			if last != "" {
				return last
			}
		}
	}
}
