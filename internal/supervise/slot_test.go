package supervise

import (
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// slotsOf returns the slots of the workers, oldest first.
func slotsOf(h *harness) (slots []int) {
	for _, w := range h.Workers() {
		slots = append(slots, w.Slot())
	}
	return slots
}

// Workers must have the first free slots, and a replacement that of the worker that failed.
func TestSlots(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{Workers: 2, Restart: patientPolicy()}, serves)
	third, err := h.Fork()
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2}, slotsOf(h))
	for range 3 {
		await[Ready](h)
	}
	second := h.Workers()[1]
	second.Signal(syscall.SIGKILL)
	await[Exited](h)
	replacement := await[Started](h).Worker
	require.Equal(t, 1, replacement.Slot())
	require.Equal(t, NoSlot, second.Slot())

	h.Workers()[0].Leave()
	await[Exited](h)
	fourth, err := h.Fork()
	require.NoError(t, err)
	require.Equal(t, []int{2, 1, 0}, []int{third.Slot(), replacement.Slot(), fourth.Slot()})
}

// No two processes may have one slot: the new worker of a reload, and a worker that is forked
// while another one of that slot still leaves, must get the slot when the process before them has
// ended.
func TestSlotOfOneProcess(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(h *harness, old *Worker){
		"reload": func(h *harness, _ *Worker) { go h.Reload(t.Context()) },
		"fork": func(h *harness, old *Worker) {
			old.Leave()
			h.Fork()
		},
		"leaves by itself": func(_ *harness, old *Worker) { old.MarkLeaving() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := make(chan int, 1)
			cfg := Config{DrainTimeout: clitest.Never, TellSlot: func(w *Worker, slot int) { told <- slot }}
			h := startSupervisor(t, cfg, `echo '"ready"' >&3; while read stop <&3; do :; done`)
			old, err := h.Fork()
			require.NoError(t, err)
			require.Equal(t, old, await[Ready](h).Worker)
			replace(h, old)
			successor := await[Ready](h).Worker
			number, had := successor.SlotAtStart()
			require.Equal(t, 0, number)
			require.False(t, had)
			clitest.Eventually(t, func() bool { return old.State() == Leaving })
			require.Equal(t, []int{0, NoSlot}, slotsOf(h))
			old.Signal(syscall.SIGKILL)
			require.Equal(t, 0, <-told)
			require.Equal(t, SlotTaken{successor, 0}, await[SlotTaken](h))
			require.Equal(t, 0, successor.Slot())
		})
	}
}

// A reload must keep the slots, and so must scaling.
func TestSlotsAfterReload(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{}, serves)
	require.NoError(t, h.Scale(3))
	for range 2 {
		require.NoError(t, h.Reload(t.Context()))
		// The last one has been told a moment later. A worker that was not ready was replaced first.
		clitest.Eventually(t, func() bool {
			return slices.Equal([]int{0, 1, 2}, slices.Sorted(slices.Values(slotsOf(h))))
		})
	}
	require.NoError(t, h.Scale(1))
	clitest.Eventually(t, func() bool { return len(h.Workers()) == 1 })
	require.Equal(t, []int{0}, slotsOf(h))
	require.NoError(t, h.Scale(2))
	require.Equal(t, []int{0, 1}, slotsOf(h))
}
