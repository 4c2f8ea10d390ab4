package docs

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	table "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
)

// page is a Markdown file, cut into what the checks look at.
type page struct {
	root     string // of the repository
	path     string // below the root, such as docs/03-ipc.md
	source   []byte
	sections []section
	fences   []fence
	links    []link
	tables   []ast.Node
	anchors  map[string]bool
}

// section is a heading, and what follows it until the next one. The first section is what
// precedes the first heading.
type section struct {
	title       string
	level       int
	start, stop int // in the source
	headingEnd  int // in the source
}

// fence is a block of code. The comment in front of it, if any, is its marker.
type fence struct {
	lang, code, marker string
	start, stop        int // of the code, in the source
}

// link is a link or an image.
type link struct {
	target string
	at     int // in the source
}

var anchor = regexp.MustCompile(`<a id="([^"]+)">`)

// readPage reads the page at a path below root.
func readPage(root, path string) (*page, error) {
	source, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return nil, err
	}
	return parse(root, path, source), nil
}

func parse(root, path string, source []byte) *page {
	p := &page{root: root, path: path, source: source, anchors: map[string]bool{}}
	p.sections = []section{{stop: len(source)}}
	document := goldmark.New(goldmark.WithExtensions(extension.Table)).Parser().Parse(text.NewReader(source))
	ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			p.add(n)
		}
		return ast.WalkContinue, nil
	})
	for _, found := range anchor.FindAllSubmatch(source, -1) {
		p.anchors[string(found[1])] = true
	}
	return p
}

// add notes one node of the page.
func (p *page) add(n ast.Node) {
	switch n := n.(type) {
	case *ast.Heading:
		line := n.Lines().At(0)
		start := bytes.LastIndexByte(p.source[:line.Start], '\n') + 1
		p.sections[len(p.sections)-1].stop = start
		title := string(line.Value(p.source))
		p.sections = append(p.sections, section{title, n.Level, start, len(p.source), line.Stop})
		p.anchors[slug(title)] = true
	case *ast.FencedCodeBlock:
		f := fence{lang: string(n.Language(p.source))}
		if n.Info != nil {
			f.start = n.Info.Segment.Stop + 1
		}
		if lines := n.Lines(); lines.Len() > 0 {
			f.start, f.stop = lines.At(0).Start, lines.At(lines.Len()-1).Stop
		}
		f.stop = max(f.start, f.stop)
		f.code = string(p.source[f.start:f.stop])
		if comment, is := n.PreviousSibling().(*ast.HTMLBlock); is {
			f.marker = strings.TrimSpace(string(comment.Lines().Value(p.source)))
		}
		p.fences = append(p.fences, f)
	case *table.Table:
		p.tables = append(p.tables, n)
	case *ast.Link:
		p.links = append(p.links, link{string(n.Destination), p.position(n)})
	}
}

// position returns about where a node of a line of text begins.
func (p *page) position(n ast.Node) int {
	for ; n != nil; n = n.Parent() {
		if n.Type() == ast.TypeBlock && n.Lines().Len() > 0 {
			return n.Lines().At(0).Start
		}
	}
	return 0
}

// sectionAt returns the section at a place in the source.
func (p *page) sectionAt(place int) section {
	found := p.sections[0]
	for _, s := range p.sections {
		if s.start <= place {
			found = s
		}
	}
	return found
}

// slug returns the anchor that GitHub gives to a heading.
func slug(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}
