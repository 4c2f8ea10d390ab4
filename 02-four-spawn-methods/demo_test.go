package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// Without arguments, the command must show the four methods in a table and then the two
// mistakes, on lines that fit into a terminal. It must not need PATH.
func TestDemo(t *testing.T) {
	got := clitest.Run(t, "env", "-u", "PATH", clitest.Self(t))
	require.Equal(t, 0, got.Code, got.Stderr)
	require.Empty(t, got.Stderr)
	for line := range strings.Lines(got.Stdout) {
		require.LessOrEqual(t, len(line), 81, "wider than a terminal: %s", line)
	}
	t.Run("table", func(t *testing.T) { requireTable(t, parseTable(got.Stdout)) })
	t.Run("injection", func(t *testing.T) { requireInjection(t, got.Stdout) })
	t.Run("unread output", func(t *testing.T) { requireUnread(t, got.Stdout) })
}

// parseTable returns the cells of each row, by its label.
func parseTable(out string) map[string][]string {
	table, gap := map[string][]string{}, regexp.MustCompile(` {2,}`)
	for line := range strings.Lines(out) {
		if row := gap.Split(strings.TrimSpace(line), -1); len(row) == 5 {
			table[row[0]] = row[1:]
		}
	}
	return table
}

// requireTable requires that each cell shows what its method does.
func requireTable(t *testing.T, table map[string][]string) {
	for i, cell := range takeRow(t, table, "output at, end at", `^\d+, \d+ ms$`) {
		var first, last int
		_, err := fmt.Sscanf(cell, "%d, %d ms", &first, &last)
		require.NoError(t, err)
		streams := []bool{true, false, false, true}[i]
		require.Equal(t, streams, first < last, "%s: %s", methods[i].name, cell)
	}
	takeRow(t, table, "its grandchild", `^ended, \d+ ms$`)
	// Some shells replace themselves with the last program of a line, some run it and
	// report its end.
	killed := table["kill -9"][1]
	require.Contains(t, []string{"code 137", "SIGKILL"}, killed)
	require.Empty(t, cmp.Diff(map[string][]string{
		"$((6*7)) arrives as": {"$((6*7))", "42", "$((6*7))", "$((6*7))"},
		"the channel":         {"none", "none", "none", "descriptor 3"},
		"missing program":     {"ENOENT", "code 127", "ENOENT", "ENOENT"},
		"not executable":      {"EACCES", "code 126", "EACCES", "EACCES"},
		"missing directory":   {"ENOENT", "ENOENT", "ENOENT", "ENOENT"},
		"exit 3":              {"code 3", "code 3", "code 3", "code 3"},
		"kill -9":             {"SIGKILL", killed, "SIGKILL", "SIGKILL"},
		"a deadline":          {"SIGTERM by us", "SIGTERM by us", "SIGTERM by us", "SIGTERM by us"},
		"canceled":            {"Canceled", "Canceled", "Canceled", "Canceled"},
		"2 MiB of output":     {"2097152 bytes", "ErrMaxBuffer", "ErrMaxBuffer", "2097152 bytes"},
	}, table))
}

// takeRow removes a row with times from the table, and returns its cells.
func takeRow(t *testing.T, table map[string][]string, label, pattern string) []string {
	t.Helper()
	row := table[label]
	delete(table, label)
	require.Len(t, row, len(methods))
	for _, cell := range row {
		require.Regexp(t, pattern, cell)
	}
	return row
}

// requireInjection requires that only exec runs the command in the file name.
func requireInjection(t *testing.T, out string) {
	_, byExec, found := strings.Cut(out, "the shell interprets the name\n")
	require.True(t, found)
	require.Regexp(t, `^    cat: none: No such file or directory\n    I was run, too\n\[parent`, byExec)
	require.Equal(t, 1, strings.Count(out, "    I was run, too\n"), "the others run nothing")
}

// requireUnread requires that a program stops while its output is not read, and goes on
// when it is.
func requireUnread(t *testing.T, out string) {
	stuck := regexp.MustCompile(`it has written (\d+), and is stuck`).FindStringSubmatch(out)
	require.NotNil(t, stuck)
	written, err := strconv.Atoi(stuck[1])
	require.NoError(t, err)
	require.Less(t, written, 1<<20)
	require.Contains(t, out, "now they are read: 1048576 bytes, and it ends: code 0\n")
}
