package watch

import (
	"io"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/demo"
)

var client = netip.MustParseAddrPort("127.0.0.1:4711")

var (
	answeredVisit = demo.Result{Answer: "worker 1", From: client.String(), Begun: true}
	failedVisit   = demo.Result{Err: io.ErrUnexpectedEOF, From: client.String()}
	begunVisit    = demo.Result{Err: io.ErrUnexpectedEOF, From: client.String(), Begun: true}
	refusedVisit  = demo.Result{Err: syscall.ECONNREFUSED}
)

// A visit that fails must be counted at the rung to which its connection had come, whether the primary
// or the visitor hears of the end first.
func TestRungs(t *testing.T) {
	const visit = cluster.HandoverStep(-1)
	for name, test := range map[string]struct {
		result demo.Result
		steps  []cluster.HandoverStep
		rung   rung
	}{
		"refused":              {refusedVisit, []cluster.HandoverStep{visit}, queued},
		"in the queue":         {failedVisit, []cluster.HandoverStep{cluster.Reset, visit}, queued},
		"refused by a worker":  {failedVisit, []cluster.HandoverStep{cluster.Given, cluster.Refused, visit}, queued},
		"given":                {failedVisit, []cluster.HandoverStep{cluster.Given, visit, cluster.Returned}, given},
		"came back":            {failedVisit, []cluster.HandoverStep{cluster.Given, cluster.Returned, visit}, given},
		"perhaps accepted":     {failedVisit, []cluster.HandoverStep{cluster.Given, cluster.Reset, visit}, given},
		"reset after its end":  {failedVisit, []cluster.HandoverStep{cluster.Given, visit, cluster.Reset}, given},
		"accepted":             {failedVisit, []cluster.HandoverStep{cluster.Given, cluster.Accepted, visit}, accepted},
		"accepted, read later": {failedVisit, []cluster.HandoverStep{cluster.Given, visit, cluster.Accepted}, accepted},
		"answered in part":     {begunVisit, []cluster.HandoverStep{cluster.Given, cluster.Accepted, visit}, begun},
		"the same, read later": {begunVisit, []cluster.HandoverStep{cluster.Given, visit, cluster.Accepted}, begun},
	} {
		var h handovers
		for _, step := range test.steps {
			if step == visit {
				h.visited(test.result, time.Second, true, 0)
				continue
			}
			h.handle(cluster.Handover{Step: step, Client: client})
		}
		want := totals{}
		want.Failed[test.rung] = 1
		want.Returned = len(slices.DeleteFunc(test.steps, func(s cluster.HandoverStep) bool { return s != cluster.Returned }))
		require.Equal(t, want, h.totals(), name)
		require.Empty(t, h.conns, name)
	}
}

// Without a primary between, a connection that was made counts as accepted.
func TestRungOfNone(t *testing.T) {
	var h handovers
	h.visited(failedVisit, 0, false, 0)
	h.visited(refusedVisit, 0, false, 0)
	require.Equal(t, [rungs]int{queued: 1, accepted: 1}, h.totals().Failed)
}

// An answer must be counted once, and its connection be forgotten, also if the primary reads later
// that it was accepted.
func TestAnswered(t *testing.T) {
	for _, order := range [][]cluster.HandoverStep{{cluster.Accepted}, nil} {
		var h handovers
		h.handle(cluster.Handover{Step: cluster.Given, Client: client})
		for _, step := range order {
			h.handle(cluster.Handover{Step: step, Client: client})
		}
		h.visited(answeredVisit, 7*time.Millisecond, true, 0)
		if order == nil {
			h.handle(cluster.Handover{Step: cluster.Accepted, Client: client})
		}
		require.Equal(t, totals{Answered: 1, Longest: 7}, h.totals())
		require.Empty(t, h.conns)
		require.Len(t, h.takeMoves(), 3)
		require.NotNil(t, h.takeMoves(), "null would not be an array to the page")
	}
}

// What is kept must be bounded, however many connections other clients make.
func TestFollowedConnectionsBounded(t *testing.T) {
	var h handovers
	for i := range 2 * maxConns {
		address := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		h.handle(cluster.Handover{Step: cluster.Accepted, Client: netip.AddrPortFrom(address, 1)})
	}
	require.Len(t, h.conns, maxConns)
	require.Len(t, h.takeMoves(), maxMoves)
	h.handle(cluster.Handover{Step: cluster.Given, Client: client})
	h.handle(cluster.Handover{Step: cluster.Accepted, Client: client})
	h.visited(failedVisit, 0, true, 0)
	require.Equal(t, [rungs]int{accepted: 1}, h.totals().Failed, "a visitor is followed all the same")
	for _, c := range h.conns {
		c.since = time.Now().Add(-2 * forgetSoon)
	}
	h.takeMoves()
	require.Empty(t, h.conns)
}

// A worker must look frozen when it has left a connection for a while, and no longer when it has
// accepted it.
func TestFrozen(t *testing.T) {
	var h handovers
	h.handle(cluster.Handover{Step: cluster.Given, Client: client})
	h.conns[client].worker = 3
	require.Empty(t, h.frozen())
	h.conns[client].since = time.Now().Add(-2 * frozenAfter)
	require.Equal(t, map[int]bool{3: true}, h.frozen())
	h.handle(cluster.Handover{Step: cluster.Accepted, Client: client})
	require.Empty(t, h.frozen())
}

// The totals of a series are what was counted meanwhile.
func TestTotalsSince(t *testing.T) {
	now, before := totals{Answered: 5, Returned: 3}, totals{Answered: 2, Returned: 1}
	now.Failed[given], before.Failed[given] = 4, 1
	require.Equal(t, totals{Answered: 3, Returned: 2, Failed: [rungs]int{given: 3}}, now.since(before))
}
