package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/cli"
)

// ErrorLine must find the line that says what went wrong, in the output of any program.
func TestErrorLine(t *testing.T) {
	for output, want := range map[string]string{
		"":                        "it printed no error",
		" \n\n":                   "it printed no error",
		"sh: 1: x: not found\n":   "sh: 1: x: not found",
		"started\ncannot go on\n": "cannot go on",
		"panic: a\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:3\nexit status 2\n":                                                    "panic: a",
		"/x.js:1\nthrow new Error('a')\n^\n\nTypeError [CODE]: a\n    at x\n\nNode.js v20\n":                                             "TypeError [CODE]: a",
		"fatal error: all goroutines are asleep\n\ngoroutine 1:\n":                                                                       "fatal error: all goroutines are asleep",
		"Error: handled\nSIGQUIT: quit\nPC=0x47 m=0 sigcode=0\n\ngoroutine 1:\n\nrax    0x0\ngs     0x0\n":                               "SIGQUIT: quit",
		"SIGSEGV: segmentation violation\nPC=0x0 m=3 sigcode=1\n\ngs     0x0\n":                                                          "SIGSEGV: segmentation violation",
		"runtime/cgo: pthread_create failed: Resource temporarily unavailable\nSIGABRT: abort\nPC=0x1 m=0\n\ngs     0x0\n":               "runtime/cgo: pthread_create failed: Resource temporarily unavailable",
		"SIGABRT: abort\nPC=0x1 m=0\n\ngs     0x0\n":                                                                                     "SIGABRT: abort",
		"runtime: out of memory: cannot allocate 8-byte block\nfatal error: out of memory\n\nruntime stack:\ngs     0x0\n":               "fatal error: out of memory",
		"\n<--- Last few GCs --->\n\nFATAL ERROR: Reached heap limit\n----- Native stack trace -----\n\n 1: 0xb7a node::Abort()\n":       "FATAL ERROR: Reached heap limit",
		"/x.js:1\nthrow new Error('outer')\n^\n\nError: outer\n    at x {\n  [cause]: RangeError: inner\n      at y\n}\n\nNode.js v20\n": "Error: outer",
		"/x.js:2\n  throw 'text'\n  ^\ntext\n(Use `node --trace-uncaught ...`)\n\nNode.js v20\n":                                         "text",
		"no panic: x\nlast\n":      "last",
		"Error: old\nError: new\n": "Error: new",
		"\x1b[2J\xff":              "\ufffd[2J\ufffd",
		strings.Repeat("x", 300):   strings.Repeat("x", 200),
	} {
		var buffer cli.TailBuffer
		for _, b := range []byte(output) {
			buffer.Write([]byte{b})
		}
		require.Equal(t, want, buffer.ErrorLine())
		require.Equal(t, output, string(buffer.Bytes()))
	}
}

// The buffer must keep the last 64 KiB.
func TestTailBufferIsBounded(t *testing.T) {
	var buffer cli.TailBuffer
	for range 100 {
		buffer.Write(bytes.Repeat([]byte("long "), 1000))
	}
	require.Len(t, buffer.Bytes(), 64<<10)
	require.True(t, bytes.HasSuffix(buffer.Bytes(), []byte("long long ")))
}
