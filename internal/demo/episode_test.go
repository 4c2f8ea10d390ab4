package demo

import (
	"context"
	"errors"
	"log"
	"testing"

	"github.com/stretchr/testify/require"
)

// Await returns the first event of the wanted type that is the wanted one, and the error
// of its context if that ends first.
func TestAwait(t *testing.T) {
	events := make(chan any, 5)
	for _, e := range []any{"a", 1, 2, "b", 3} {
		events <- e
	}
	got, err := Await(t.Context(), events, func(n int) bool { return n > 1 })
	require.NoError(t, err)
	require.Equal(t, 2, got)
	require.Len(t, events, 2)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Await(ctx, events, func(int) bool { return false })
	require.ErrorIs(t, err, context.Canceled)
}

// Play ends with the first episode that fails.
func TestPlay(t *testing.T) {
	failure := errors.New("failure")
	var played []string
	episode := func(name string, err error) Episode {
		return Episode{Name: name, Run: func(context.Context) error {
			played = append(played, name)
			return err
		}}
	}
	err := Play(t.Context(), log.New(t.Output(), "", 0),
		[]Episode{episode("one", nil), episode("two", failure), episode("three", nil)},
		func(e Episode) { played = append(played, "after "+e.Name) })
	require.ErrorIs(t, err, failure)
	require.Equal(t, []string{"one", "after one", "two"}, played)
}
