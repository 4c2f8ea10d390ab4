package docs

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// checkLinks requires that links lead to a file or a folder, and to an anchor that it has.
func checkLinks(p *page) (complaints []string) {
	for _, l := range p.links {
		if strings.Contains(l.target, "://") {
			continue
		}
		file, anchor, _ := strings.Cut(l.target, "#")
		target := p
		if file != "" {
			file = path.Join(path.Dir(p.path), file)
			if _, err := os.Stat(filepath.Join(p.root, file)); err != nil {
				complaints = append(complaints, p.complain(l.at, "there is no %s", l.target))
				continue
			}
			if path.Ext(file) == ".md" {
				target, _ = readPage(p.root, file)
			}
		}
		if anchor != "" && !target.anchors[anchor] {
			complaints = append(complaints, p.complain(l.at, "%s has no #%s", target.path, anchor))
		}
	}
	return complaints
}

// checkMentions requires that the pages of each chapter mention each of its files.
func checkMentions(root string, pages []*page) (complaints []string) {
	files, _ := filepath.Glob(filepath.Join(root, "0[1-9]-*", "*"))
	more, _ := filepath.Glob(filepath.Join(root, "0[1-9]-*", "*", "*"))
	for _, file := range append(files, more...) {
		name := filepath.Base(file)
		if ext := filepath.Ext(name); ext != ".go" && ext != ".js" || strings.HasSuffix(name, "_test.go") ||
			strings.Contains(file, "testdata") {
			continue
		}
		chapter, _ := filepath.Rel(root, file)
		number, mentioned := chapter[:2], false
		for _, p := range pages {
			mentioned = mentioned || strings.HasPrefix(path.Base(p.path), number) && strings.Contains(string(p.source), name)
		}
		if !mentioned {
			complaints = append(complaints, "docs/"+number+"-*.md: no page mentions "+chapter)
		}
	}
	return complaints
}
