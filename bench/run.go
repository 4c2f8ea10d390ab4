package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// result is a measured row: the values of its contenders, each with as many rounds.
type result struct {
	row
	values map[string][]float64
}

// measureRows measures the contenders of some rows in turn, round by round, so that what else the
// machine does slows all of them down. What several rows have in common is measured once. A
// contender that fails is left out.
func measureRows(ctx context.Context, rows []row, o options) (results []result) {
	commands := distinct(rows)
	values := map[string][]float64{}
	for range min(o.rounds, rows[0].maxRounds()) {
		commands = slices.DeleteFunc(commands, func(c contender) bool {
			if ctx.Err() != nil {
				return true
			}
			value, err := c.measure(ctx, o.time)
			if err != nil && ctx.Err() == nil {
				fmt.Fprintf(os.Stderr, "  %s is left out: %v\n", nameOf(c.who).En, err)
			}
			if err != nil {
				delete(values, c.key())
				return true
			}
			values[c.key()] = append(values[c.key()], value)
			return false
		})
	}
	for _, r := range rows {
		res := result{r, map[string][]float64{}}
		for _, c := range r.contenders {
			if measured := values[c.key()]; len(measured) > 0 {
				res.values[c.who] = measured
			}
		}
		results = append(results, res)
	}
	return results
}

// distinct returns the contenders of the rows, each once.
func distinct(rows []row) (all []contender) {
	for _, r := range rows {
		for _, c := range r.contenders {
			if !slices.ContainsFunc(all, func(other contender) bool { return other.key() == c.key() }) {
				all = append(all, c)
			}
		}
	}
	return all
}

// key is the same for contenders that do the same.
func (c contender) key() string { return strings.Join(c.command, " ") }

// measure runs the command, which ends after some time in any case. What it leaves behind ends,
// too: what is in its process group at once, and workers with their primary.
func (c contender) measure(ctx context.Context, length time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second+10*length)
	defer cancel()
	output, complaints, err := temporaryFiles()
	if err != nil {
		return 0, err
	}
	defer output.Close()
	defer complaints.Close()
	cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	cmd.Stdout, cmd.Stderr = output, complaints
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%g", secondsVariable, length.Seconds()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Run()
	if cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if err = cmp.Or(ctx.Err(), err); err != nil {
		return 0, fmt.Errorf("%w: %s", err, lastLine(complaints))
	}
	return strconv.ParseFloat(lastLine(output), 64)
}

// temporaryFiles returns files for what a command prints. A pipe would not end before the last
// process that has it.
func temporaryFiles() (output, complaints *os.File, err error) {
	if output, err = os.CreateTemp("", "bench"); err != nil {
		return nil, nil, err
	}
	if complaints, err = os.CreateTemp("", "bench"); err != nil {
		output.Close()
		return nil, nil, errors.Join(err, os.Remove(output.Name()))
	}
	return output, complaints, errors.Join(os.Remove(output.Name()), os.Remove(complaints.Name()))
}

// lastLine returns the last line that a command has printed, of the first 64 KiB.
func lastLine(file *os.File) string {
	text := make([]byte, 64<<10)
	n, _ := file.ReadAt(text, 0)
	printed := bytes.TrimSpace(text[:n])
	return string(printed[bytes.LastIndexByte(printed, '\n')+1:])
}

// yardstick is the contender to which the others are compared: Node 26, or the Node on PATH.
func (res result) yardstick() string {
	for _, who := range []string{"node26", "node"} {
		if len(res.values[who]) > 0 {
			return who
		}
	}
	return ""
}

// ratio returns how a contender compares with the yardstick.
func (res result) ratio(who string) (s summary, ok bool) {
	quotients := ratios(res.values[who], res.values[res.yardstick()])
	if len(quotients) == 0 {
		return s, false
	}
	return summarize(quotients), true
}

// judged returns what the goal is about: the ratio, or the value itself.
func (res result) judged() (s summary, ok bool) {
	if !res.absolute {
		return res.ratio("go")
	}
	if len(res.values["go"]) == 0 {
		return s, false
	}
	return summarize(res.values["go"]), true
}

// met reports whether this project reaches the goal of the row.
func (res result) met() bool {
	s, ok := res.judged()
	if res.larger {
		return ok && s.Median >= res.goal
	}
	return ok && s.Median <= res.goal
}
