package main

import (
	"context"
	"strings"
)

const shell = "/bin/sh"

// Exec has a shell run a command line, and returns what was written:
// cp.exec(command, callback). It is ExecFile for the program /bin/sh, and so are
// its errors: a program that is missing is the shell's exit code 127.
//
// Never build command from what others have said: the shell acts on all of it.
// Use ExecFile; and if it must be a shell, hand it their words as arguments:
//
//	ExecFile(ctx, opts, "/bin/sh", "-c", `sort "$1" | uniq`, "sh", theirs)
func Exec(ctx context.Context, opts Options, command string) (stdout, stderr []byte, err error) {
	return ExecFile(ctx, opts, shell, "-c", command)
}

// Quote makes one word for the shell of any text without a NUL.
func Quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
