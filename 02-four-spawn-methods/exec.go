package main

import (
	"context"
	"strings"
)

const shell = "/bin/sh"

// Exec runs a command line in a shell and returns its output: cp.exec(command, callback). It
// is ExecFile of /bin/sh, with ExecFile's errors: a missing program is the shell's exit code
// 127.
//
// Never build command from input: the shell interprets all of it. Use ExecFile; and if you
// need a shell, pass the input as its arguments:
//
//	ExecFile(ctx, opts, "/bin/sh", "-c", `sort -- "$1" | uniq`, "sh", input)
func Exec(ctx context.Context, opts Options, command string) (stdout, stderr []byte, err error) {
	return ExecFile(ctx, opts, shell, "-c", command)
}

// Quote quotes a text without NUL as one word for the shell.
func Quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
