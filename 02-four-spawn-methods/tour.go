package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// tour shows the four methods on one program, and then the two faults that are
// made with them most.
func tour(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := room(ctx, self); err != nil {
		return err
	}
	say.Printf("one program, by each of the four methods, in %d cases:\n\n", len(rows))
	if err := table(ctx, os.Stdout, self); err != nil {
		return err
	}
	fmt.Println()
	if err := injection(ctx); err != nil {
		return err
	}
	fmt.Println()
	return unread(ctx, self)
}

// room finds out whether processes may be started, before the table fills with
// one complaint: four at a time, which is more than any case of it needs.
func room(ctx context.Context, self string) (err error) {
	var started []*Process
	for len(started) < 4 && err == nil {
		var p *Process
		if p, err = Spawn(ctx, Options{}, self, "child", "talk"); err == nil {
			started = append(started, p)
		}
	}
	for _, p := range started {
		stderr, _ := io.ReadAll(p.Stderr) // its few words on the other stream fit the pipe
		if failed := p.Wait(); failed != nil {
			reason, _, _ := strings.Cut(string(stderr), "\n")
			err = fmt.Errorf("%w: %s", failed, reason)
		}
	}
	return err
}

// injection lets somebody else say which file is to be read.
func injection(ctx context.Context) error {
	const name = `none; echo "I was run, too"`
	say.Printf("somebody names a file: %s", name)
	tries := []struct {
		what string
		run  func() (stdout, stderr []byte, err error)
	}{
		{`exec, "cat " + name: the shell acts on what is in the name`, func() (stdout, stderr []byte, err error) {
			return Exec(ctx, Options{}, "cat "+name)
		}},
		{`execFile, "cat", name: no shell`, func() (stdout, stderr []byte, err error) {
			return ExecFile(ctx, Options{}, "cat", name)
		}},
		{`execFile, "sh", "-c", 'cat "$1"', "sh", name: data to this shell`, func() (stdout, stderr []byte, err error) {
			return ExecFile(ctx, Options{}, shell, "-c", `cat "$1"`, "sh", name)
		}},
	}
	for _, try := range tries {
		stdout, stderr, err := try.run()
		if exit := new(ExitError); err != nil && !errors.As(err, &exit) {
			return err
		}
		say.Print(try.what)
		for line := range strings.Lines(string(stderr) + string(stdout)) {
			fmt.Print("    ", line)
		}
	}
	return ctx.Err()
}

// unread spawns a program that writes, and does not read until it is stuck.
func unread(ctx context.Context, self string) error {
	const size = 1 << 20
	p, err := Spawn(ctx, Options{}, self, "child", "flood-aloud", fmt.Sprint(size))
	if err != nil {
		return err
	}
	say.Printf("spawned %d, to write %d bytes; nobody reads", p.pid, size)
	progress := make(chan string, size/lineSize)
	go func() {
		for lines := bufio.NewScanner(p.Stderr); lines.Scan(); {
			progress <- lines.Text()
		}
		close(progress)
	}()
	say.Printf("it has written %s, and is stuck: the pipe is full", untilSilent(progress))

	read, err := io.Copy(io.Discard, p.Stdout)
	for range progress { // to its end, before Wait closes the stream
	}
	say.Printf("now somebody reads: %d bytes, and it ends: %s", read, howItEnded(outcome{err: p.Wait()}))
	return errors.Join(err, ctx.Err())
}

// untilSilent is the last line of several, when no more come for a while.
func untilSilent(lines <-chan string) (last string) {
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
