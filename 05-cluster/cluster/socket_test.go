package cluster

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// asked is the query of a worker that writes this.
func asked(t *testing.T, text string) query {
	t.Helper()
	var q query
	require.NoError(t, json.Unmarshal([]byte(text), &q))
	return q
}

// A socket has the options that Node asks for.
func TestOpenOptions(t *testing.T) {
	option := func(fd, level, name int) int {
		value, err := unix.GetsockoptInt(fd, level, name)
		require.NoError(t, err)
		return value
	}
	for _, test := range []struct {
		query               string
		reuse, v6Only, kind int
	}{
		{`{"address":"127.0.0.1","port":0,"addressType":4}`, 1, -1, unix.SOCK_STREAM},
		{`{"address":"::","port":0,"addressType":6}`, 1, 0, unix.SOCK_STREAM},
		{`{"address":"::","port":0,"addressType":6,"flags":1}`, 1, 1, unix.SOCK_STREAM},
		{`{"address":"127.0.0.1","port":0,"addressType":"udp4","fd":-1}`, 0, -1, unix.SOCK_DGRAM},
		{`{"address":"127.0.0.1","addressType":"udp4","fd":-1,"flags":4}`, 1, -1, unix.SOCK_DGRAM},
		{`{"address":"::","port":0,"addressType":"udp6","fd":-1,"flags":1}`, 0, 1, unix.SOCK_DGRAM},
	} {
		fd, err := openSocket(asked(t, test.query))
		if err == unix.EADDRNOTAVAIL || err == unix.EAFNOSUPPORT {
			continue // no IPv6 here
		}
		require.NoError(t, err, test.query)
		require.Equal(t, test.reuse != 0, option(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR) != 0, test.query)
		require.Equal(t, test.kind, option(fd, unix.SOL_SOCKET, unix.SO_TYPE), test.query)
		if test.v6Only >= 0 {
			require.Equal(t, test.v6Only != 0, option(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY) != 0, test.query)
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.NoError(t, err)
		require.NotZero(t, flags&unix.FD_CLOEXEC)
		require.NoError(t, unix.Close(fd))
	}
}

// What cannot be opened is an error for the worker, and leaves nothing open.
func TestOpenErrors(t *testing.T) {
	before, _ := unix.Dup(0)
	unix.Close(before)
	for text, want := range map[string]unix.Errno{
		`{"address":"192.0.2.1","port":0,"addressType":4}`:                           unix.EADDRNOTAVAIL,
		`{"address":"localhost","port":0,"addressType":4}`:                           unix.EINVAL,
		`{"address":"::1","port":0,"addressType":4}`:                                 unix.EINVAL,
		`{"address":"127.0.0.1","port":65536,"addressType":4}`:                       unix.EINVAL,
		`{"address":"127.0.0.1","port":-1,"addressType":4}`:                          unix.EINVAL,
		`{"address":null,"port":0,"addressType":"udp4","fd":-1}`:                     unix.EINVAL,
		`{"address":null,"port":null,"addressType":null,"fd":0}`:                     unix.ENOTSUP,
		`{"address":"","port":-1,"addressType":-1}`:                                  unix.EINVAL,
		`{"address":"/nowhere/at/all","port":-1,"addressType":-1}`:                   unix.EACCES,
		`{"address":"/` + strings.Repeat("x", 200) + `","port":-1,"addressType":-1}`: unix.EINVAL,
		`{"address":"127.0.0.1","port":0,"addressType":"tcp"}`:                       unix.EINVAL,
	} {
		_, err := openSocket(asked(t, text))
		require.Equal(t, want, errnoOf(err), text)
	}
	after, _ := unix.Dup(0)
	unix.Close(after)
	require.Equal(t, before, after, "the next descriptor is the same")
}

func TestBacklog(t *testing.T) {
	for text, want := range map[string]int{``: 511, `"backlog":false,`: 511, `"backlog":0,`: 511, `"backlog":7,`: 7} {
		require.Equal(t, want, asked(t, `{`+text+`"index":0}`).backlog())
	}
}

// The servers of one address have numbers, which begin anew when all of them are closed.
func TestIndexes(t *testing.T) {
	l := &primaryConn{indexes: map[string]*index{}}
	q := asked(t, `{"address":null,"port":0,"addressType":4}`)
	first, second := l.nextIndex(q), l.nextIndex(q)
	require.Equal(t, []int{0, 1}, []int{first.Index, second.Index})
	l.freeIndex(first)
	require.Equal(t, 2, l.nextIndex(q).Index)
	l.freeIndex(second)
	l.freeIndex(q)
	require.Zero(t, l.nextIndex(q).Index)
}

// What a worker has written does not disturb a terminal.
func TestQueryString(t *testing.T) {
	for text, want := range map[string]string{
		`{"address":null,"port":80}`:           ":80",
		`{"address":"::1","port":80}`:          "[::1]:80",
		`{"address":"/a b","port":-1}`:         "/a b",
		`{"address":"\u001b[31m\n","port":-1}`: `\x1b[31m\n`,
		`{"address":null,"port":null}`:         "",
	} {
		require.Equal(t, want, asked(t, text).String())
	}
}
