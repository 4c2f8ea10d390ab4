package docs

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	goldmark "github.com/yuin/goldmark/ast"
	table "github.com/yuin/goldmark/extension/ast"
)

// from is the marker of a block of code that is cut from a file of the repository. It names a
// declaration of a Go file, such as talk or (*child).end; without a name the block is the file.
var from = regexp.MustCompile(`^<!-- from: (\S+)(?: (.+))? -->$`)

// checkCode requires that code is what the file says that its marker names.
func checkCode(p *page) (complaints []string) {
	for _, f := range p.fences {
		want, err := p.shown(f)
		switch {
		case err != nil:
			complaints = append(complaints, p.complain(f.start, "%v", err))
		case want != f.code:
			complaints = append(complaints, p.complain(f.start, "the code differs from %s; run: make docs", f.marker))
		}
	}
	return complaints
}

// shown returns the code that belongs into a block.
func (p *page) shown(f fence) (string, error) {
	marker := from.FindStringSubmatch(f.marker)
	if marker == nil {
		return f.code, nil
	}
	source, err := os.ReadFile(filepath.Join(p.root, marker[1]))
	if err != nil || marker[2] == "" {
		return string(source), err
	}
	code, found := cutDeclaration(string(source), marker[2])
	if !found {
		return "", fmt.Errorf("%s has no %s: correct the marker", marker[1], marker[2])
	}
	return strings.TrimRight(code, "\n") + "\n", nil
}

// cutDeclaration returns a declaration of a Go file with its comment.
func cutDeclaration(source, name string) (code string, found bool) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return "", false
	}
	for _, d := range file.Decls {
		if declared, comment := declares(d, source); slices.Contains(declared, name) {
			start := d.Pos()
			if comment != nil {
				start = comment.Pos()
			}
			return source[files.Position(start).Offset:files.Position(d.End()).Offset], true
		}
	}
	return "", false
}

// declares returns the names that a declaration gives, and its comment.
func declares(d ast.Decl, source string) (names []string, comment *ast.CommentGroup) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			of := d.Recv.List[0].Type
			name = fmt.Sprintf("(%s).%s", source[of.Pos()-1:of.End()-1], name)
		}
		return []string{name}, d.Doc
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name.Name)
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names = append(names, n.Name)
				}
			}
		}
		return names, d.Doc
	}
	return nil, nil
}

// checkColumns requires that code in a column whose head links to a file, or in a cell after such
// a link, is in that file.
func checkColumns(p *page) (complaints []string) {
	for _, t := range p.tables {
		var files []string // by column
		for row := t.FirstChild(); row != nil; row = row.NextSibling() {
			column := 0
			for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
				if row.Kind() == table.KindTableHeader {
					files = append(files, p.linkedFile(cell.FirstChild()))
				} else {
					complaints = append(complaints, p.checkCell(cell, files[column])...)
				}
				column++
			}
		}
	}
	return complaints
}

// linkedFile returns the text of the file to which n is a link, or "".
func (p *page) linkedFile(n goldmark.Node) string {
	l, is := n.(*goldmark.Link)
	if !is || filepath.Ext(string(l.Destination)) == ".md" && path.Base(string(l.Destination)) != "notes.md" {
		return ""
	}
	source, _ := os.ReadFile(filepath.Join(p.root, filepath.Dir(p.path), string(l.Destination)))
	return string(source)
}

// checkCell requires that the code in a cell is in a file; … stands for anything.
func (p *page) checkCell(cell goldmark.Node, file string) (complaints []string) {
	for n := cell.FirstChild(); n != nil; n = n.NextSibling() {
		if linked := p.linkedFile(n); linked != "" {
			file = linked
		}
		code, is := n.(*goldmark.CodeSpan)
		if !is || file == "" {
			continue
		}
		line := p.textOf(code)
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.ReplaceAll(line, `\|`, "|")), "…", ".*")
		if !regexp.MustCompile(pattern).MatchString(file) {
			complaints = append(complaints, p.complain(p.position(cell), "the column's file has no `%s`", line))
		}
	}
	return complaints
}

// textOf returns the text of a code span.
func (p *page) textOf(code *goldmark.CodeSpan) string {
	var text []byte
	for n := code.FirstChild(); n != nil; n = n.NextSibling() {
		text = append(text, n.(*goldmark.Text).Value(p.source)...)
	}
	return string(text)
}

// complain says what is wrong, and in which section.
func (p *page) complain(place int, format string, args ...any) string {
	return fmt.Sprintf("%s, %q: ", p.path, cmp.Or(p.sectionAt(place).title, "top")) + fmt.Sprintf(format, args...)
}
