package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"playing-with-processes/internal/ipc"
)

// encoded returns a value as JSON.
func encoded(value any) json.RawMessage {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // a number or a record
	}
	return data
}

// count decodes each message, and answers every nth: count N TYPE.
func count(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("count: wrong arguments %q", args)
	}
	every, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	parent, err := ipc.Parent()
	if err != nil {
		return err
	}
	decode := decoders[args[1]]
	for n := 1; ; n++ {
		m, err := parent.Receive()
		if err != nil {
			return nil // the parent has what it needs
		}
		if err := decode(m); err != nil {
			return err
		}
		if n%every == 0 {
			if err := parent.Send(context.Background(), n); err != nil {
				return nil
			}
		}
	}
}

// decoders are what a receiver makes of a message.
var decoders = map[string]func(m ipc.Message) error{
	"main.number": func(m ipc.Message) error { return m.Decode(new(number)) },
	"main.record": func(m ipc.Message) error { return m.Decode(new(record)) },
	"any":         func(m ipc.Message) error { return m.Decode(new(any)) },
	"raw":         func(ipc.Message) error { return nil },
}
