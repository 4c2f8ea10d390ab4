package program

import (
	"context"
	"fmt"
	"time"
)

// Short is a duration as people like to read it.
func Short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprint(d.Round(time.Millisecond))
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

// Pause waits, but not beyond the end of ctx, whose error it returns then.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
