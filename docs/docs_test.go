// Package docs checks its pages: go test ./docs. What it can repair, make docs does.
package docs

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

const root = ".."

var (
	update     = flag.Bool("update", false, "renew the code and the transcripts: make docs")
	translated = flag.String("translated", "", "mark the translation of this `page` as complete: make translated PAGE=docs/…")
	programs   string // the directory of the built programs
)

func TestMain(m *testing.M) {
	clitest.Prepare()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if programs, err = os.MkdirTemp("", "docs"); err == nil {
		defer os.RemoveAll(programs)
		err = buildPrograms(root, programs)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// pages returns all pages of the repository.
func pages(t *testing.T) (all []*page) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	for _, file := range append(files, root+"/README.md", root+"/README.zh.md") {
		name, err := filepath.Rel(root, file)
		require.NoError(t, err)
		p, err := readPage(root, name)
		require.NoError(t, err)
		all = append(all, p)
	}
	return all
}

func TestPages(t *testing.T) {
	all := pages(t)
	for _, p := range all {
		if *update {
			require.NoError(t, p.renewCode())
		}
		report(t, check(p))
	}
	report(t, checkMentions(root, all))
}

// check returns what is wrong with a page by itself.
func check(p *page) []string {
	return slices.Concat(checkCode(p), checkColumns(p), checkLinks(p), checkFlags(p))
}

func report(t *testing.T, complaints []string) {
	t.Helper()
	for _, complaint := range complaints {
		t.Error(complaint)
	}
}

// TestConsoles runs the commands that the English pages show. The Chinese pages show the same.
func TestConsoles(t *testing.T) {
	for _, p := range pages(t) {
		if strings.HasSuffix(p.path, zhSuffix) {
			continue
		}
		for i, f := range p.fences {
			if f.lang != "console" {
				continue
			}
			t.Run(fmt.Sprint(filepath.Base(p.path), i), func(t *testing.T) {
				t.Parallel()
				difference, printed := runConsole(t, programs, f)
				switch {
				case difference == "":
				case *update && renewable(f, printed):
					require.NoError(t, p.renew(f, transcript(f, printed)))
				default:
					t.Error(p.complain(f.start, "%s; %s", difference, repair(f, printed)))
				}
			})
		}
	}
}

// onlyOne has its two languages in one page, or one language that is quoted.
var onlyOne = []string{"docs/glossary.md", "docs/notes.md"}

func TestTranslations(t *testing.T) {
	for _, en := range pages(t) {
		if strings.HasSuffix(en.path, zhSuffix) || slices.Contains(onlyOne, en.path) {
			continue
		}
		zh, err := readPage(root, translationOf(en.path))
		if err != nil {
			t.Error(err)
			continue
		}
		if *update {
			require.NoError(t, zh.copyConsoles(en))
		}
		if *translated == en.path {
			require.NoError(t, markTranslated(en, zh))
			zh, _ = readPage(root, zh.path)
		}
		report(t, checkTranslation(en, zh))
	}
}

// A process of a page must stand for the process in its role that prints the same.
func TestCompareRoles(t *testing.T) {
	printed := []string{"[worker 4000] is idle", "[primary 5000] has 4001", "[worker 4001] is busy"}
	shown := []string{"[worker 4712] is busy", "[primary 4711] has 4712"}
	require.Empty(t, new(comparison).compare(shown, printed))
	require.NotEmpty(t, new(comparison).compare(append(shown, "[worker 4713] is busy"), printed))
}

// badPage says which complaint a wrong page must cause.
var badPage = regexp.MustCompile(`^<!-- want: (.*) -->\n`)

func TestBadPages(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if strings.HasSuffix(file, zhSuffix) {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			want := badPage.FindSubmatch(source)
			require.NotNil(t, want)
			p := parse(root, "docs/"+filepath.Base(file), bytes.TrimPrefix(source, want[0]))
			got := number.ReplaceAllString(strings.Join(complaints(t, p, file), "\n"), "#")
			require.Equal(t, number.ReplaceAllString(string(want[1]), "#"), got)
		})
	}
}

// complaints returns what all checks say of a page and its translation, if there is one.
func complaints(t *testing.T, p *page, file string) []string {
	all := check(p)
	for _, f := range p.fences {
		if f.lang == "console" {
			if difference, printed := runConsole(t, programs, f); difference != "" {
				all = append(all, p.complain(f.start, "%s; %s", difference, repair(f, printed)))
			}
		}
	}
	if source, err := os.ReadFile(translationOf(file)); err == nil {
		all = append(all, checkTranslation(p, parse(root, translationOf(p.path), source))...)
	}
	return all
}
