package restart

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The jitter must not lengthen a pause, and may shorten it by half at most.
func TestJitter(t *testing.T) {
	policy := Default(1)
	for i := range 1000 {
		full := min(policy.FirstPause<<min(i, 20), policy.MaxPause)
		pause := policy.pause(policy.FirstPause, i+1)
		require.LessOrEqual(t, pause, full)
		require.GreaterOrEqual(t, pause, full/2)
	}
	require.LessOrEqual(t, policy.pause(time.Hour, 1), MaxPause)
	policy.Random = func() float64 { return 0.999 }
	require.Less(t, policy.pause(time.Hour, 1), MaxPause*6/10)
}

// Each worker must add RestartsPerWorker to what the pool allows.
func TestDefault(t *testing.T) {
	require.Equal(t, 3*RestartsPerWorker, Default(3).Restarts)
}
