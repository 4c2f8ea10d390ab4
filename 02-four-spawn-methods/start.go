package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// defaultPath is where execvp(3) looks for a program if PATH is not set.
const defaultPath = "/bin:/usr/bin"

// start passes run a command for each path that the name may stand for, until one starts, as
// execvp(3) and therefore Node do. It runs a script without a #! line in a shell. exec.Command
// differs: it refuses programs in the current directory, has no default for PATH, and for a file
// that is not executable it says that there is none.
//
// The error matches fs.ErrInvalid for an empty name, and otherwise fs.ErrNotExist,
// fs.ErrPermission, or another errno.
func start(opts Options, file string, args []string, run func(*exec.Cmd) error) (*exec.Cmd, error) {
	if file == "" {
		return nil, &fs.PathError{Op: "spawn", Path: file, Err: fs.ErrInvalid}
	}
	var denied, missing error
	for _, path := range candidates(file) {
		cmd := command(opts, path, file, args)
		err := run(cmd)
		if errors.Is(err, syscall.ENOEXEC) {
			cmd = command(opts, shell, shell, append([]string{path}, args...))
			err = run(cmd)
		}
		switch {
		case err == nil:
			return cmd, nil
		case errors.Is(err, syscall.EACCES):
			denied = err
		case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
			missing = err
		default:
			return nil, err
		}
	}
	if denied != nil {
		return nil, denied
	}
	return nil, notFound(opts, file, missing)
}

// candidates returns the paths that a name may stand for. An empty element of PATH is the
// current directory.
func candidates(file string) (paths []string) {
	if strings.Contains(file, "/") {
		return []string{file}
	}
	path, set := os.LookupEnv("PATH")
	if !set {
		path = defaultPath
	}
	for dir := range strings.SplitSeq(path, ":") {
		if dir != "" {
			dir += "/"
		}
		paths = append(paths, dir+file)
	}
	return paths
}

// command prepares a program. It gets a process group of its own, so that one signal reaches
// its descendants, too. Node signals the program alone.
func command(opts Options, path, name string, args []string) *exec.Cmd {
	return &exec.Cmd{
		Path:        path,
		Args:        append([]string{name}, args...),
		Dir:         opts.Dir,
		Env:         os.Environ(), // without this, os/exec would add PWD for Dir; Node does not
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
}

// notFound makes the error say what is missing. The kernel's ENOENT, and so Node's, may mean
// the directory; and if no element of PATH has the program, the error names the last one.
func notFound(opts Options, file string, err error) error {
	if _, missing := os.Stat(opts.Dir); opts.Dir != "" && missing != nil {
		return missing
	}
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return &fs.PathError{Op: "spawn", Path: file, Err: failed.Err}
	}
	return err
}
