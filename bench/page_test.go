package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The pages must have the same headings in both languages, and the plots must be XML, whatever
// contenders are absent.
func TestPages(t *testing.T) {
	folder := t.TempDir()
	var results []result
	for i, r := range (table{all: true}).rows(nil) {
		values := map[string][]float64{"go": {2, 3}, "node": {4, 5}}
		if i%2 == 0 {
			values = map[string][]float64{"go": {0, 1}, "node26": {0, 2}, "bun": {1, 1}}
		}
		results = append(results, result{r, values})
	}
	results = append(results, result{results[0].row, nil}) // all contenders failed
	if err := writePages(folder, results, describeMachine(runtimes()), options{all: true}); err != nil {
		t.Fatal(err)
	}
	en, zh := readPage(t, folder, "benchmarks.md"), readPage(t, folder, "benchmarks.zh.md")
	if en, zh := strings.Count(en, "\n#"), strings.Count(zh, "\n#"); en != zh || en < len(results) {
		t.Errorf("the English page has %d headings, and the Chinese page %d", en, zh)
	}
	plots, err := filepath.Glob(filepath.Join(folder, "*.svg"))
	if err != nil || len(plots) != 6 {
		t.Fatalf("there are %d plots: %v", len(plots), err)
	}
	for _, plot := range plots {
		checkXML(t, readPage(t, "", plot))
	}
}

func readPage(t *testing.T, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"NaN", "Inf", "ZgotmplZ", "<no value>"} {
		if strings.Contains(string(text), wrong) {
			t.Errorf("%s has %s", name, wrong)
		}
	}
	return string(text)
}

func checkXML(t *testing.T, text string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.25: "0.250", 3.14159: "3.14", 42.42: "42.4", 999: "999", 1234: "1,230", 1234567: "1,230,000"} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) is %q, and not %q", v, got, want)
		}
	}
}
