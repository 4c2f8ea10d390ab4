package ipc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func init() {
	roles["self"] = func() {
		os.Chdir("/")
		os.Setenv("PATH", "")
		fmt.Print(Self().Path)
	}
	roles["fork a removed program"] = func() {
		os.Remove(os.Args[0])
		_, err := Fork(Self())
		fmt.Print(err)
	}
}

// Self must name the program as it was called, with the symbolic links in that name: they may
// lead to another release by now.
func TestSelfIsTheNameThatWasCalled(t *testing.T) {
	executable, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Dir(executable), filepath.Join(dir, "current")))
	called := filepath.Join(dir, "current", filepath.Base(executable))
	for name, test := range map[string]struct{ path, arg0, want string }{
		"by an absolute path":                {called, called, called},
		"by a relative path":                 {called, "./current/" + filepath.Base(executable), called},
		"by its name in PATH":                {called, filepath.Base(executable), called},
		"by another name":                    {executable, "some name", executable},
		"by no name":                         {executable, "", executable},
		"by the name of a different program": {executable, "sh", executable},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(test.path, "self")
			cmd.Args[0] = test.arg0
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(called)+":"+os.Getenv("PATH"))
			out, err := cmd.Output()
			require.NoError(t, err)
			require.Equal(t, test.want, string(out))
		})
	}
}

// If the program is not there any more, the error must name it.
func TestSelfIsGone(t *testing.T) {
	executable, err := os.Executable()
	require.NoError(t, err)
	gone := filepath.Join(t.TempDir(), "gone")
	require.NoError(t, os.Link(executable, gone))
	cmd := exec.Command(gone, "fork a removed program")
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "fork: fork/exec "+gone+": no such file or directory", string(out))
}
