package watch

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// openPage opens a page without a cluster, and returns a function that asks it for something.
func openPage(t *testing.T) (p *Page, ask func(method, path string, header ...string) *http.Response) {
	t.Helper()
	p, err := Open("localhost:0")
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p, func(method, path string, header ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+p.Addr().String()+path, nil)
		require.NoError(t, err)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
			if header[i] == "Host" {
				r.Host = header[i+1]
			}
		}
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		t.Cleanup(func() { response.Body.Close() })
		return response
	}
}

// The page and its files must be there, and may use nothing from elsewhere.
func TestFiles(t *testing.T) {
	_, ask := openPage(t)
	for path, kind := range map[string]string{
		"/": "text/html", "/icon.svg": "image/svg+xml", "/style.css": "text/css", "/page.js": "text/javascript", "/dots.js": "text/javascript",
		"/chart.js": "text/javascript", "/texts.js": "text/javascript",
	} {
		response := ask(http.MethodGet, path)
		require.Equal(t, http.StatusOK, response.StatusCode, path)
		require.Equal(t, kind, strings.Split(response.Header.Get("Content-Type"), ";")[0])
		require.Contains(t, response.Header.Get("Content-Security-Policy"), "default-src 'self'")
	}
	require.Equal(t, http.StatusNotFound, ask(http.MethodGet, "/watch.go").StatusCode)
}

// Another site must neither read from the page nor change anything.
func TestOtherSites(t *testing.T) {
	_, ask := openPage(t)
	for _, test := range []struct {
		method, path string
		header       []string
		status       int
	}{
		{http.MethodGet, "/", []string{"Host", "evil.example"}, http.StatusMisdirectedRequest},
		{http.MethodGet, "/frames", []string{"Host", "evil.example:1338"}, http.StatusMisdirectedRequest},
		{http.MethodGet, "/", []string{"Host", "[::1]:1338"}, http.StatusOK},
		{http.MethodGet, "/", []string{"Host", "localhost:1338"}, http.StatusOK},
		{http.MethodGet, "/frames", []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{http.MethodGet, "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, http.StatusOK},
		{http.MethodGet, "/frames", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, http.StatusForbidden},
		{http.MethodGet, "/", []string{"Host", "LocalHost"}, http.StatusOK},
		{http.MethodGet, "/", []string{"Sec-Fetch-Site", "none"}, http.StatusOK},
		{http.MethodPost, "/rate?to=0", []string{"Origin", "http://evil.example"}, http.StatusForbidden},
		{http.MethodPost, "/rate?to=0", []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		{http.MethodPost, "/rate?to=0", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, http.StatusForbidden},
		{http.MethodPost, "/rate?to=1", []string{"Sec-Fetch-Site", "same-origin"}, http.StatusNoContent},
		{http.MethodPost, "/rate?to=1", nil, http.StatusNoContent}, // curl
	} {
		require.Equal(t, test.status, ask(test.method, test.path, test.header...).StatusCode, "%v", test)
	}
}

// What makes no sense, or cannot be done now, must be one line.
func TestWrongActions(t *testing.T) {
	p, ask := openPage(t)
	for path, status := range map[string]int{
		"/explode": http.StatusNotFound, "/rate?to=201": http.StatusBadRequest, "/rate": http.StatusBadRequest,
		"/policy?to=fair": http.StatusBadRequest, "/policy?to=rr": http.StatusConflict, "/slow?to=much": http.StatusBadRequest,
		"/kill?worker=1": http.StatusConflict, "/reload": http.StatusConflict, "/more": http.StatusConflict,
		"/kills": http.StatusBadRequest, "/kills?of=100": http.StatusConflict, "/visit": http.StatusConflict,
	} {
		require.Equal(t, status, ask(http.MethodPost, path).StatusCode, path)
	}
	require.Equal(t, http.StatusNotFound, ask(http.MethodGet, "/reload").StatusCode, "a link must not do it")
	require.Zero(t, p.visitors.state().Present)
	_, _, marks, log := p.history.state()
	require.Empty(t, marks)
	require.Empty(t, log)
}

// Without a cluster, a frame must have nothing that is null where the page expects an array.
func TestFrameWithoutCluster(t *testing.T) {
	p, _ := openPage(t)
	text, err := json.Marshal(p.frame())
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(text), "null"), "moves, which play adds, and kills: %s", text)
}

// What the page remembers must be bounded.
func TestHistoryBounded(t *testing.T) {
	p, _ := openPage(t)
	for range 1000 {
		p.history.mark("kill", strings.Repeat("é", maxLine))
		p.history.count(7)
	}
	_, rate, marks, log := p.history.state()
	require.Zero(t, rate)
	require.Len(t, marks, maxMarks)
	require.Len(t, log, maxLog)
	require.LessOrEqual(t, len(log[0]), maxLine+len("15:04:05.000 "))
}
