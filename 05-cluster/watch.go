package main

import (
	"context"
	"errors"
	"fmt"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/05-cluster/watch"
	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/demo"
)

// watched runs the cluster and a page that shows it. When the page asks for another policy, the
// cluster is started again, at the same address.
func watched(ctx context.Context, o options) (err error) {
	if o.page, err = watch.Open(o.watch); err != nil {
		return fmt.Errorf("-watch: %w", err)
	}
	defer func() {
		o.page.Close()
		if summary := o.page.Summary(); summary != "" {
			say.Print(summary)
		}
	}()
	say.Printf("watch it on http://%s", demo.Reachable(o.page.Addr().String()))
	return o.page.Run(ctx, o.policy, func(ctx context.Context, policy cluster.Policy) error {
		o.policy = policy
		if address := o.page.Address(); address != "" {
			o.addr = address
		}
		return ofToy(primary(ctx, o))
	})
}

// ofToy drops errors that are no failure here: people have killed the workers, and asked for broken
// reloads.
func ofToy(err error) error {
	if lasting := cli.LastingError(""); errors.As(err, &lasting) {
		return nil
	}
	return err
}
