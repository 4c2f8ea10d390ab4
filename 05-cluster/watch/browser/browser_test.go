package main

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// command is the program of chapter 05.
var command string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if _, err := findBrowser(); err != nil {
		if os.Getenv("REQUIRE_BROWSER") != "" {
			fmt.Println(err)
			return 1
		}
		fmt.Println("skipped:", err)
		return 0
	}
	built, remove, err := build()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer remove()
	command = built
	return m.Run()
}

// page is the page in a browser.
type page struct {
	*tab
	t       *testing.T
	program *program
	ended   bool // the test has ended the program
}

// open starts a cluster of two workers, which are never taken for frozen, and opens its page. When the
// test ends, nothing may have been wrong on the browser's console.
func open(t *testing.T, language string) *page {
	t.Helper()
	t.Parallel()
	program, err := start(command, "-addr", "127.0.0.1:0", "-watch=127.0.0.1:0", "-n", "2", "-accept", "1h")
	require.NoError(t, err)
	t.Cleanup(func() { program.stop() })
	browser, err := openTab(context.Background(), language)
	require.NoError(t, err)
	clitest.AtDeadline(t, browser.close)
	t.Cleanup(browser.close)
	messages := chromedp.Console(browser.ctx)
	p := &page{tab: browser, t: t, program: program}
	require.NoError(t, chromedp.Do(p.ctx, chromedp.Navigate(program.url)))
	p.await(`frame?.workers.filter((worker) => worker.state === 'listening').length === 2`)
	t.Cleanup(func() {
		p.eval(`console.log('the end')`)
		for message, err := range messages {
			require.NoError(t, err)
			if message.Text == "the end" {
				return
			}
			require.True(t, p.ended, "on the console: %v", message)
		}
	})
	return p
}

// await waits until an expression is true.
func (p *page) await(expression string) {
	p.t.Helper()
	clitest.Eventually(p.t, func() bool { return value[bool](p, expression) }, expression)
}

// value returns what an expression is.
func value[T any](p *page, expression string, options ...chromedp.EvaluateOption) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, options...))
	require.NoError(p.t, err, expression)
	return v
}

func (p *page) eval(expression string) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.Evaluate[chromedp.Void](expression)), expression)
}

func (p *page) click(selector string) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.Click(selector)))
}

// text returns the text of an element.
func (p *page) text(id string) string {
	return value[string](p, fmt.Sprintf(`find(%q).textContent`, id))
}

// lost returns the numbers of the table of rungs.
func (p *page) lost() []string {
	return value[[]string](p, `[...find('rungs').rows].map((row) => row.cells[1].textContent)`)
}

// pids returns the pids on the cards, in the order of the slots.
func (p *page) pids() []string {
	return value[[]string](p, `[...document.querySelectorAll('.card')].map((card) => card.dataset.pid)`)
}

// empty stops the visitors, and waits until none is left.
func (p *page) empty() {
	p.t.Helper()
	p.click(`[data-rate="0"]`)
	p.await(`frame.visitors.rate === 0 && frame.visitors.present === 0`)
}

// The memory of the page must not grow from frame to frame: 300 frames take 30 seconds.
func TestMemory(t *testing.T) {
	p := open(t, "en")
	p.eval(`var frames = 0; const shows = show; show = (f) => { frames++; shows(f) }`)
	const warmUp, most = 50, 2 << 20
	p.await(fmt.Sprintf(`frames > %d`, warmUp))
	before := p.heap()
	p.await(fmt.Sprintf(`frames > %d`, warmUp+clitest.Times(300, 1200)))
	require.Less(t, p.heap()-before, float64(most))
}

// A connection that a frozen worker has not accepted must go back when the worker is killed, and be
// answered by the other.
func TestFreezeThenKill(t *testing.T) {
	p := open(t, "en")
	p.empty()
	p.eval(`var steps = [], back; const draws = showMove
		showMove = (move) => {
			steps.push(move.step)
			if (move.step === 'returned') back = dots.get(move.conn)
			draws(move)
		}`)
	p.click(`.card:nth-child(1) .freeze`)
	p.await(`frame.log.some((line) => line.includes('kill -STOP'))`)
	frozen := `document.querySelector('.card:nth-child(1)').dataset.state === 'frozen'`
	for !value[bool](p, frozen) {
		p.click(`[data-do="visit"]`)
		p.await(frozen + ` || frame.visitors.present === 0`)
	}
	p.eval(`steps = []`)
	p.click(`.card:nth-child(1) .kill`)
	p.await(`frame.visitors.present === 0 && find('returned').textContent === '1'`)
	require.Equal(t, "0", p.text("failed"))
	p.await(`steps.length >= 4`)
	require.Equal(t, []string{"returned", "given"}, value[[]string](p, `steps.slice(0, 2)`))
	require.ElementsMatch(t, []string{"accepted", "answered"}, value[[]string](p, `steps.slice(2, 4)`))
	p.await(`back.back === true && back.fading === true`)
	p.await(`!shown.has(back)`)
}

// What a killed worker had accepted must be lost at L3 and L4 alone, and the page must say as many as
// the visitors themselves.
func TestKillUnderSlowVisits(t *testing.T) {
	p := open(t, "en")
	p.click("#slow")
	p.await(`find('slow').getAttribute('aria-pressed') === 'true'`)
	for range 5 {
		p.await(`frame.workers.length === 2 && frame.workers.every((worker) => worker.state === 'listening')`)
		pid := p.pids()[0]
		p.click(`.card:nth-child(1) .kill`)
		p.await(fmt.Sprintf(`!frame.workers.some((worker) => worker.pid === %s)`, pid))
	}
	p.await(`frame.totals.failed[2] + frame.totals.failed[3] > 0`)
	p.empty()
	require.Equal(t, []string{"0", "0"}, p.lost()[:2])
	want := fmt.Sprintf("%s visits were answered, and %s were not", p.text("answered"), p.text("failed"))
	p.ended = true
	lines, err := p.program.stop()
	require.NoError(t, err)
	require.Contains(t, lines[len(lines)-1], want)
	p.await(`find('link').textContent === say('gone')`)
}

// A reload must show new workers, and one to a broken program the old ones. Nothing is lost.
func TestReload(t *testing.T) {
	p := open(t, "en")
	before := p.pids()
	p.click(`[data-do="broken"]`)
	p.await(`find('outcome').textContent.includes('failed') && frame.workers.length === 2`)
	require.Equal(t, before, p.pids())
	p.click(`[data-do="reload"]`)
	p.await(`find('outcome').textContent.includes('every worker was replaced') && frame.workers.length === 2`)
	for _, pid := range p.pids() {
		require.NotContains(t, before, pid)
	}
	require.Equal(t, "0", p.text("failed"))
	require.Positive(t, value[int](p, `document.querySelectorAll('#chart path').length`), "the marks")
}

// The number of workers must follow the buttons, also those of the keyboard.
func TestScale(t *testing.T) {
	p := open(t, "en")
	p.click(`[data-do="more"]`)
	p.await(`document.querySelectorAll('.card[data-state="listening"]').length === 3`)
	require.NoError(t, chromedp.Do(p.ctx, chromedp.Focus(`[data-do="fewer"]`), chromedp.KeyEvent(kb.Enter)))
	p.await(`document.querySelectorAll('.card').length === 2`)
	require.Equal(t, "0", p.text("failed"))
}

// Another policy must start the cluster again at the same address.
func TestPolicy(t *testing.T) {
	p := open(t, "en")
	address, before := p.text("address"), p.pids()
	p.click(`[data-policy="none"]`)
	p.await(`frame.policy === 'none' && frame.rate > 0 && document.querySelectorAll('.card').length === 2`)
	require.Equal(t, address, p.text("address"))
	require.NotContains(t, before, p.pids()[0])
	require.Equal(t, "–", value[string](p, `document.querySelector('.card .pending').textContent`))
	require.Contains(t, p.text("policy-sentence"), "from the kernel themselves")
	p.await(`shown.size > 0`)
	require.Equal(t, "0", p.text("failed"))
}

// The series must say what came of it.
func TestHundredKills(t *testing.T) {
	p := open(t, "en")
	p.eval(`document.querySelector('[data-do^="kills"]').onclick = () => act('kills?of=5')`) // it takes less time
	p.click(`[data-do^="kills"]`)
	p.await(`find('outcome').textContent.startsWith('5 kills in ')`)
	require.Contains(t, p.text("outcome"), "Lost before a worker had accepted: 0")
}

// The page must speak the browser's language, and the other one when asked.
func TestChinese(t *testing.T) {
	p := open(t, "zh-CN")
	require.Equal(t, "看集群怎样工作", value[string](p, `document.title`))
	require.Equal(t, "zh", value[string](p, `document.documentElement.lang`))
	require.Contains(t, value[string](p, `document.querySelector('.card .state').textContent`), "正在监听")
	p.click("#language")
	require.Equal(t, "A cluster at work", value[string](p, `document.title`))
	require.Equal(t, "listening", value[string](p, `document.querySelector('.card .state').textContent`))
	require.Equal(t, "live", p.text("link"))
	differing := value[[]string](p, `fetch('/').then((response) => response.text()).then((text) =>
		[...new DOMParser().parseFromString(text, 'text/html').querySelectorAll('[data-text]')]
			.filter((e) => e.textContent !== texts.en[e.dataset.text]).map((e) => e.dataset.text))`, chromedp.EvalAwaitPromise)
	require.Equal(t, []string{}, differing, "the texts of index.html itself")
	require.Equal(t, []string{}, value[[]string](p, `Object.keys(texts.en).filter((key) => !(key in texts.zh))`))
	require.Equal(t, []string{}, value[[]string](p, `[...document.querySelectorAll('[data-text]')].map((e) => e.dataset.text).filter((key) => !(key in texts.en))`))
}

// No width may need a scroll bar at the bottom.
func TestWidths(t *testing.T) {
	p := open(t, "en")
	for _, width := range []int64{360, 800, 1000, 1600} {
		require.NoError(t, chromedp.Do(p.ctx, chromedp.EmulateViewport(width, 800)))
		require.LessOrEqual(t, value[int64](p, `document.documentElement.scrollWidth`), width)
	}
}

// Without JavaScript, the page must say that it needs it.
func TestWithoutJavaScript(t *testing.T) {
	p := open(t, "en")
	_, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(p.ctx, chromedp.Reload(), chromedp.WaitVisible("noscript p")))
	_, err = chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: false})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(p.ctx, chromedp.Reload()))
	p.await(`frame !== undefined`)
}

// heap returns how many bytes the page's objects have.
func (p *page) heap() float64 {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, heapprofiler.CollectGarbage, cdp.Empty{})
	require.NoError(p.t, err)
	usage, err := chromedp.Call(p.ctx, runtime.GetHeapUsage, cdp.Empty{})
	require.NoError(p.t, err)
	return usage.UsedSize
}
