package cluster

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// parseQuery returns the query that a worker sends as this text.
func parseQuery(t *testing.T, text string) query {
	t.Helper()
	var q query
	require.NoError(t, json.Unmarshal([]byte(text), &q))
	return q
}

// A socket must have the options that Node asks for.
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
		fd, err := openSocket(parseQuery(t, test.query), None)
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

// With None a socket must only be bound, as under Node: otherwise the clients of a worker that
// does not make it listen would wait for ever.
func TestOpenNone(t *testing.T) {
	for policy, listens := range map[Policy]bool{None: false, RoundRobin: true, Sticky: true} {
		for _, text := range []string{
			`{"address":"127.0.0.1","port":0,"addressType":4}`,
			`{"address":"` + filepath.Join(t.TempDir(), "socket") + `","port":-1,"addressType":-1}`,
		} {
			fd, err := openSocket(parseQuery(t, text), policy)
			require.NoError(t, err)
			listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
			require.NoError(t, err)
			require.Equal(t, listens, listening != 0, "%s: %s", policy, text)
			require.NoError(t, unix.Close(fd))
		}
	}
}

// The worker must get an error for a socket that cannot be opened, and no descriptor may
// be left.
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
		_, err := openSocket(parseQuery(t, text), RoundRobin)
		require.Equal(t, want, err, text)
	}
	after, _ := unix.Dup(0)
	unix.Close(after)
	require.Equal(t, before, after, "the next descriptor is the same")
}

// The backlog must be Node's default if the query has no positive number.
func TestBacklog(t *testing.T) {
	for text, want := range map[string]int{``: 511, `"backlog":false,`: 511, `"backlog":0,`: 511, `"backlog":7,`: 7} {
		require.Equal(t, want, parseQuery(t, `{`+text+`"index":0}`).backlog())
	}
}

// The servers of one address must have different indexes, which start again when all are
// closed.
func TestIndexes(t *testing.T) {
	c := &primaryConn{indexes: map[string]index{}}
	q := parseQuery(t, `{"address":null,"port":0,"addressType":4}`)
	first, second := c.nextIndex(q), c.nextIndex(q)
	require.Equal(t, []int{0, 1}, []int{first.Index, second.Index})
	c.freeIndex(first)
	require.Equal(t, 2, c.nextIndex(q).Index)
	c.freeIndex(second)
	c.freeIndex(q)
	require.Zero(t, c.nextIndex(q).Index)
}

// An address that a worker sends must not disturb a terminal.
func TestQueryString(t *testing.T) {
	for text, want := range map[string]string{
		`{"address":null,"port":80}`:           ":80",
		`{"address":"::1","port":80}`:          "[::1]:80",
		`{"address":"/a b","port":-1}`:         "/a b",
		`{"address":"\u001b[31m\n","port":-1}`: `\x1b[31m\n`,
		`{"address":null,"port":null}`:         "",
	} {
		require.Equal(t, want, parseQuery(t, text).String())
	}
}

// The name of a Unix socket must be the shorter of two paths, and have no NUL but at its
// beginning.
func TestUnixName(t *testing.T) {
	t.Chdir(t.TempDir())
	dir, err := unix.Getwd()
	require.NoError(t, err)
	for path, want := range map[string]string{
		dir + "/socket":        "socket",
		dir + "/../x/../y":     "../y",
		dir + "/@file":         "./@file",
		dir + "/\x00abstract":  "\x00abstract",
		"\x00abstract\x00name": "\x00abstract\x00name",
		"/short":               "/short",
		"relative":             "relative",
	} {
		name, err := unixName(path)
		require.NoError(t, err, "%q", path)
		require.Equal(t, want, name)
	}
	for _, path := range []string{"/a\x00b", dir + "/a\x00b", "a\x00"} {
		_, err := unixName(path)
		require.Equal(t, unix.EINVAL, err, "%q", path)
	}
}
