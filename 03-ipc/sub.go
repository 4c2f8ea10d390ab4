package main

import (
	"context"
	"os"

	"playing-with-processes/internal/ipc"
)

// sub is the child: it sends one message, and prints what the parent sends
// until the parent disconnects: sub.js.
func sub(ctx context.Context, cfg ipc.Config) error {
	parent, err := cfg.Parent()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { parent.Disconnect() })()

	if err := parent.Send(ctx, map[string]string{"foo": "bar"}); err != nil {
		return err
	}
	say.Print(`sent {"foo":"bar"}`)

	for message, err := range parent.Messages() {
		if err != nil {
			return err
		}
		var value any // any JSON will do: it is printed as it came
		if err := message.Decode(&value); err != nil {
			return err
		}
		say.Printf("message from parent %d: %s", os.Getppid(), message.Data)
	}
	if ctx.Err() == nil {
		say.Print("the parent has disconnected")
	}
	return ctx.Err()
}
