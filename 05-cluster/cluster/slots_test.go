package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"playing-with-processes/internal/clitest"
)

// Through kills, reloads and scales, no two processes may have one slot at the same time: each
// worker locks a file for its slot, and the kernel is the witness. In the end the workers must have
// the slots from 0, and know it.
func TestSlotsAreUnique(t *testing.T) {
	for name, kind := range map[string]syscall.Signal{"kill": syscall.SIGKILL, "leave": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startPrimary(t, Settings{Restart: restartAtOnce(), DrainTimeout: clitest.Never}, "go", "slots", t.TempDir())
			go func() {
				for w, message := range h.Messages() {
					t.Errorf("%v: %s", w, message.Data)
				}
			}()
			h.fork(3)
			ending := make(chan struct{})
			watched := make(chan struct{})
			go func() {
				defer close(watched)
				for !isClosed(ending) {
					requireUnique(t, h)
				}
			}()
			for range 25 {
				switch rand.IntN(4) {
				case 0:
					h.Reload(t.Context()) // fails if a new worker was killed
				case 1:
					require.NoError(t, h.Scale(1+rand.IntN(4)))
				default:
					if workers := h.Workers(); len(workers) > 0 {
						workers[rand.IntN(len(workers))].Signal(kind)
					}
				}
			}
			require.NoError(t, h.Scale(4))
			clitest.Eventually(t, func() bool { return knowSlots(h, 0, 1, 2, 3) })
			close(ending)
			<-watched
		})
	}
}

func slotsOf(h *harness) (slots []int) {
	for _, w := range h.Status().Workers {
		slots = append(slots, w.Slot)
	}
	return slots
}

// knowSlots reports whether the workers have these slots, and all of them have said so.
func knowSlots(h *harness, want ...int) bool {
	slots := slotsOf(h)
	slices.Sort(slots)
	said := true
	for _, w := range h.Status().Workers {
		h.mu.Lock()
		said = said && strings.Contains(h.printed, fmt.Sprintf("%d has slot %d\n", w.Pid, w.Slot))
		h.mu.Unlock()
	}
	return said && slices.Equal(want, slots)
}

// requireUnique requires that at this moment no two workers have one slot.
func requireUnique(t *testing.T, h *harness) {
	seen := map[int]bool{}
	for _, slot := range slotsOf(h) {
		if slot != NoSlot && seen[slot] {
			t.Errorf("two workers have slot %d", slot)
		}
		seen[slot] = true
	}
}

func init() {
	// slots locks the file of its slot in a directory for as long as it runs.
	roles["slots"] = func(args ...string) error {
		go func() {
			for Slot() == NoSlot {
				time.Sleep(time.Millisecond)
			}
			if err := lock(filepath.Join(args[0], fmt.Sprint(Slot()))); err != nil {
				Send(context.Background(), fmt.Sprintf("slot %d: %v", Slot(), err))
			}
			fmt.Printf("%d has slot %d\n", os.Getpid(), Slot())
		}()
		return roles["leaves"]("tcp", "127.0.0.1:0")
	}
	// leaves is http, and leaves by itself after SIGTERM.
	roles["leaves"] = func(args ...string) error {
		go func() {
			terminated := make(chan os.Signal, 1)
			signal.Notify(terminated, syscall.SIGTERM)
			<-terminated
			Leave()
		}()
		return roles["http"](args...)
	}
}

// lock locks a file until this process ends.
func lock(path string) error {
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
}
