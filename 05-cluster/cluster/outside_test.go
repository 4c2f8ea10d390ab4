package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// A program outside this module must be able to use the package: with every setting, and as
// the page of this chapter shows it.
func TestOutside(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/05-service.md")
	require.NoError(t, err)
	_, shown, found := strings.Cut(string(page), "```go\n")
	require.True(t, found)
	shown, _, _ = strings.Cut(shown, "```")
	settings, err := os.ReadFile("testdata/settings.go.txt")
	require.NoError(t, err)
	for name, source := range map[string]string{"page": shown, "settings": string(settings)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source = strings.Replace(source, "127.0.0.1:8080", "127.0.0.1:0", 1)
			r := clitest.Launch(t, buildOutside(t, source))
			require.Regexp(t, `^worker \d+$`, r.Get("/"))
			r.Stop()
		})
	}
}

// buildOutside builds a program in a module of its own, and returns its path.
func buildOutside(t *testing.T, source string) (program string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600))
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600))
	for _, words := range [][]string{
		{"mod", "init", "service"},
		{"mod", "edit", "-require=playing-with-processes@v0.0.0", "-replace=playing-with-processes=" + root},
		{"build", "-mod=mod", "-o", "service", "."},
	} {
		cmd := exec.CommandContext(clitest.Context(t), "go", words...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "go %s: %s", strings.Join(words, " "), out)
	}
	return filepath.Join(dir, "service")
}
