package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"
)

// record is an outcome in Node's words, as node/*.js print it. Either the output or the
// messages are nil.
type record struct {
	Stdout   *string            `json:"stdout,omitzero"`
	Stderr   *string            `json:"stderr,omitzero"`
	Messages *[]json.RawMessage `json:"messages,omitzero"`
	end
}

// end has either an error, or how the program ended.
type end struct {
	Error  string  `json:"error"`
	Code   *int    `json:"code"`
	Signal *string `json:"signal"`
	Killed bool    `json:"killed"`
}

func (m method) record(o outcome) record {
	r := record{end: endOf(o.err)}
	if m.name == "fork" {
		for i, m := range o.messages {
			o.messages[i] = []byte(text(m))
		}
		r.Messages = &o.messages
	} else {
		r.Stdout, r.Stderr = new(text(o.stdout)), new(text(o.stderr))
	}
	r.Killed = r.Killed || o.killed && r.Error == ""
	return r
}

// text decodes UTF-8 as Node does: a character that was cut off becomes one U+FFFD, and so does
// each byte that belongs to none. A conversion to string would give one for each byte.
func text(bytes []byte) string {
	var decoded strings.Builder
	for len(bytes) > 0 {
		r, n := utf8.DecodeRune(bytes)
		if r == utf8.RuneError {
			for n < len(bytes) && !utf8.FullRune(bytes[:n+1]) {
				n++
			}
		}
		decoded.WriteRune(r)
		bytes = bytes[n:]
	}
	return decoded.String()
}

// print prints the record as Node's JSON.stringify would. encoding/json/v2 has options to
// accept whatever a program has written.
func (r record) print(out io.Writer) error {
	line, err := jsonv2.Marshal(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err == nil {
		_, err = fmt.Fprintln(out, string(line))
	}
	return err
}

func endOf(err error) end {
	var errno syscall.Errno
	exit := new(ExitError)
	switch {
	case err == nil:
		return end{Code: new(int)}
	case errors.Is(err, ErrMaxBuffer):
		return end{Error: "ERR_CHILD_PROCESS_STDIO_MAXBUFFER"}
	case errors.Is(err, context.Canceled):
		return end{Error: "ABORT_ERR"}
	case errors.Is(err, fs.ErrInvalid):
		return end{Error: "ERR_INVALID_ARG_VALUE"}
	case errors.As(err, &exit) && exit.Signal != 0:
		name := cmp.Or(unix.SignalName(exit.Signal), fmt.Sprint("SIG", int(exit.Signal)))
		return end{Signal: &name, Killed: exit.Killed}
	case errors.As(err, &exit):
		return end{Code: &exit.Code, Killed: exit.Killed}
	case errors.As(err, &errno):
		return end{Error: unix.ErrnoName(errno)}
	}
	return end{Error: err.Error()}
}
