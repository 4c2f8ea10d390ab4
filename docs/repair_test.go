package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// replace puts other code into blocks of a page.
func (p *page) replace(code func(int, fence) string) error {
	source := p.source
	for i, f := range slices.Backward(p.fences) {
		source = slices.Concat(source[:f.start], []byte(code(i, f)), source[f.stop:])
	}
	*p = *parse(p.root, p.path, source)
	return os.WriteFile(filepath.Join(p.root, p.path), source, 0o644)
}

// renewCode cuts the code of a page from its files again.
func (p *page) renewCode() error {
	return p.replace(func(_ int, f fence) string {
		if code, err := p.shown(f); err == nil {
			return code
		}
		return f.code
	})
}

// copyConsoles gives a translation the code of its English page.
func (p *page) copyConsoles(en *page) error {
	if len(en.fences) != len(p.fences) {
		return nil
	}
	return p.replace(func(i int, f fence) string {
		if f.lang == en.fences[i].lang && !slices.Contains(translatable, f.lang) {
			return en.fences[i].code
		}
		return f.code
	})
}

var renewing sync.Mutex

// renew puts a transcript into the page in the place of f.
func (p *page) renew(f fence, code string) error {
	renewing.Lock()
	defer renewing.Unlock()
	now, err := readPage(p.root, p.path)
	if err != nil {
		return err
	}
	return now.replace(func(_ int, g fence) string {
		if g.code == f.code {
			return code
		}
		return g.code
	})
}

// renewable reports whether a transcript can be made anew of what was printed: it has a single
// command, which succeeds, and shows all that this prints.
func renewable(f fence, printed []string) bool {
	command, single := strings.CutPrefix(f.code, "$ ")
	return printed != nil && single && !strings.Contains(command, "\n$ ") &&
		!strings.Contains(command, elision) && !serves(command)
}

// repair says how to repair a transcript.
func repair(f fence, printed []string) string {
	if renewable(f, printed) {
		return "run: make docs"
	}
	return "run the command, and edit the page"
}

// transcript returns a console with what its command has printed. Process ids count from 4711.
func transcript(f fence, printed []string) string {
	names := map[string]string{}
	for _, line := range printed {
		if pid := label.FindStringSubmatch(line); pid != nil && names[pid[2]] == "" {
			names[pid[2]] = strconv.Itoa(4711 + len(names))
		}
	}
	command, _, _ := strings.Cut(f.code, "\n")
	return command + "\n" + renumber(strings.Join(printed, "\n"), names) + "\n"
}
