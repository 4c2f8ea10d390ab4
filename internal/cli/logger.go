package cli

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"
)

// NewLogger returns a logger that begins each line with a role and this process's id, because
// several processes write to the same terminal.
func NewLogger(role string) *log.Logger {
	return log.New(Stdout, fmt.Sprintf("[%s %d] ", role, os.Getpid()), 0)
}

// NewServerLogger is NewLogger for a process that runs for long: on a terminal, each line
// begins with the time.
func NewServerLogger(role string) *log.Logger {
	logger := NewLogger(role)
	if info, err := os.Stdout.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		logger.SetFlags(log.Ltime | log.Lmsgprefix)
	}
	return logger
}

// FormatDuration formats a duration for people: 12ms, 3.4s.
func FormatDuration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprint(d.Round(time.Millisecond))
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

// Pause waits. If ctx ends first, it returns the error of ctx.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
