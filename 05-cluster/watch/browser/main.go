package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// shot is a screenshot.
type shot struct {
	name          string
	language      string
	scheme        string // of colours
	width, height int64
}

var shots = []shot{
	{"watch.png", "en", "light", 1280, 1240},
	{"watch-dark.png", "en", "dark", 1280, 1240},
	{"watch.zh.png", "zh-CN", "light", 1280, 1240},
	{"watch-phone.png", "en", "light", 390, 1240},
}

func main() {
	directory := "."
	if len(os.Args) > 1 {
		directory = os.Args[1]
	}
	if err := takeAll(directory); err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		os.Exit(1)
	}
}

// takeAll takes all screenshots.
func takeAll(directory string) error {
	command, remove, err := build()
	if err != nil {
		return err
	}
	defer remove()
	for _, s := range shots {
		image, err := s.take(command)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if err := os.WriteFile(filepath.Join(directory, s.name), image, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// build builds the program of chapter 05.
func build() (command string, remove func(), err error) {
	directory, err := os.MkdirTemp("", "browser")
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(directory) }
	command = filepath.Join(directory, "05-cluster")
	out, err := exec.Command("go", "build", "-o", command, "playing-with-processes/05-cluster").CombinedOutput()
	if err != nil {
		remove()
		return "", nil, fmt.Errorf("%w: %s", err, out)
	}
	return command, remove, nil
}

// take takes a screenshot of a cluster in which one worker was killed under slow visits, one is
// frozen, and one was killed while it was frozen: a connection is on its way back from it.
func (s shot) take(command string) (image []byte, err error) {
	p, err := start(command, "-addr", "127.0.0.1:0", "-watch=127.0.0.1:0", "-n", "4", "-accept", "1m")
	if err != nil {
		return nil, err
	}
	defer p.stop()
	tab, err := openTab(context.Background(), s.language)
	if err != nil {
		return nil, err
	}
	defer tab.close()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}}}
	if _, err := chromedp.Call(tab.ctx, emulation.SetEmulatedMedia, media); err != nil {
		return nil, err
	}
	err = chromedp.Do(tab.ctx,
		chromedp.EmulateViewport(s.width, s.height),
		chromedp.Navigate(p.url),
		chromedp.WaitVisible(`.card:nth-child(4)[data-state="listening"] .kill`),
		chromedp.Sleep(10*time.Second), // for the chart
		chromedp.Click(`#slow`),
		chromedp.Sleep(5*time.Second),
		chromedp.Click(`.card:nth-child(2) .kill`),
		chromedp.Sleep(5*time.Second),
		chromedp.Click(`.card:nth-child(4) .freeze`),
		chromedp.Click(`.card:nth-child(3) .freeze`),
		chromedp.Sleep(2*time.Second),
		chromedp.Click(`.card:nth-child(3) .kill`),
		chromedp.Sleep(300*time.Millisecond),
		scrollUp,
	)
	if err != nil {
		return nil, err
	}
	return chromedp.Run(tab.ctx, chromedp.CaptureScreenshot())
}

// scrollUp brings the title back, which a click on a small screen has scrolled away.
var scrollUp = chromedp.Evaluate[chromedp.Void](`document.activeElement.blur(); scrollTo(0, 0)`)
