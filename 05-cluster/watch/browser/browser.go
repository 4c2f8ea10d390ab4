// Command browser takes the screenshots of docs/05-watch.md, and its tests use the page of package
// watch in a real browser: chromium, or any Chrome on the PATH. It is a module of its own because
// only they need chromedp.
//
// Usage: go run . [directory]
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"
)

// browsers are the names of a browser that chromedp can drive.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless-shell"}

var errNoBrowser = errors.New("no chromium and no Chrome on the PATH")

// findBrowser returns the path of a browser.
func findBrowser() (path string, err error) {
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoBrowser
}

// tab is the only tab of a browser.
type tab struct {
	ctx   context.Context // for chromedp
	close func()          // ends the browser
}

// openTab starts a browser.
func openTab(ctx context.Context, language string) (*tab, error) {
	path, err := findBrowser()
	if err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "browser") // the browser leaves more behind than its profile
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.UserDataDir(filepath.Join(directory, "profile")), chromedp.Env("TMPDIR="+directory),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("lang", language), chromedp.Flag("accept-lang", language),
		chromedp.WSURLReadTimeout(time.Minute))
	allocator, closeBrowser := chromedp.NewExecAllocator(ctx, options...)
	ctx, closeTab := chromedp.NewContext(allocator)
	t := &tab{ctx, func() {
		closeTab()
		closeBrowser()
		os.RemoveAll(directory)
	}}
	if err := chromedp.Do(t.ctx); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// program is a cluster with its page.
type program struct {
	cmd    *exec.Cmd
	url    string
	output *bufio.Scanner
}

// start starts the cluster, and waits for its page.
func start(command string, args ...string) (*program, error) {
	p := &program{cmd: exec.Command(command, args...)}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.output = bufio.NewScanner(out)
	for p.output.Scan() {
		if found := pageURL.FindStringSubmatch(p.output.Text()); found != nil {
			p.url = found[1]
			return p, nil
		}
	}
	p.cmd.Wait()
	return nil, fmt.Errorf("%s has printed no address", command)
}

var pageURL = regexp.MustCompile(`watch it on (http://\S+)`)

// stop ends the cluster as Ctrl-C does, and returns what else it has printed.
func (p *program) stop() (lines []string, err error) {
	p.cmd.Process.Signal(syscall.SIGINT)
	for p.output.Scan() {
		lines = append(lines, p.output.Text())
	}
	return lines, p.cmd.Wait()
}
