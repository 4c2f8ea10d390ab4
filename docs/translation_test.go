package docs

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// stamp is the hash of the English section from which a Chinese section was translated.
var stamp = regexp.MustCompile(`\n<!-- en: [0-9a-f]{6} -->`)

const zhSuffix = ".zh.md"

// translationOf returns the path of the Chinese page of an English one.
func translationOf(path string) string { return strings.TrimSuffix(path, ".md") + zhSuffix }

// checkTranslation requires that zh has the shape of en: its headings, code and links. And each
// of its sections must have been translated from the section that en has now.
func checkTranslation(en, zh *page) (complaints []string) {
	if len(en.sections) != len(zh.sections) {
		return []string{fmt.Sprintf("%s has %d headings, and %s has %d", zh.path, len(zh.sections)-1, en.path, len(en.sections)-1)}
	}
	for i, s := range zh.sections[1:] {
		original := en.sections[i+1]
		if s.level != original.level {
			complaints = append(complaints, zh.complain(s.start, "is not on the level of %q", original.title))
		}
		if got, want := zh.codeIn(s), en.codeIn(original); !slices.Equal(got, want) {
			complaints = append(complaints, zh.complain(s.start, "has other code than %q; run: make docs", original.title))
		}
		if got, want := zh.linksIn(s), en.linksIn(original); !slices.Equal(got, want) {
			i := commonLength(got, want)
			complaints = append(complaints, zh.complain(s.start, "link %d is %q, and in %q it is %q",
				i+1, nth(got, i), original.title, nth(want, i)))
		}
		if !bytes.Contains(zh.text(s), []byte("\n<!-- en: "+en.hash(original)+" -->")) {
			complaints = append(complaints, zh.complain(s.start,
				"translates another text than %q has now; translate it, then run: make translated PAGE=%s", original.title, en.path))
		}
	}
	return complaints
}

// commonLength returns how many elements two slices have in common at their beginning.
func commonLength(a, b []string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func nth(links []string, i int) string {
	if i < len(links) {
		return links[i]
	}
	return "missing"
}

func (p *page) text(s section) []byte { return p.source[s.start:s.stop] }

// translatable are the languages of blocks whose words, or comments, are translated. Drawings have
// none, or mermaid.
var translatable = []string{"", "mermaid", "sh"}

var shellComment = regexp.MustCompile(`(?m) +# .*$`)

// codeIn returns the code in a section.
func (p *page) codeIn(s section) (code []string) {
	for _, f := range p.fences {
		switch {
		case f.start < s.start || f.start >= s.stop:
		case f.lang == "sh":
			code = append(code, shellComment.ReplaceAllString(f.code, ""))
		case !slices.Contains(translatable, f.lang):
			code = append(code, f.code)
		}
	}
	return code
}

// linksIn returns where the links in a section lead, as the English page says it. Anchors are
// translated, as the headings are.
func (p *page) linksIn(s section) (targets []string) {
	for _, l := range p.links {
		if l.at >= s.start && l.at < s.stop && s.level != 1 {
			file, _, _ := strings.Cut(strings.Replace(l.target, zhSuffix, ".md", 1), "#")
			targets = append(targets, file)
		}
	}
	return targets
}

// hash changes with the words of a section, and not with code that make docs renews.
func (p *page) hash(s section) string {
	words := p.text(s)
	for _, f := range slices.Backward(p.fences) {
		if f.start >= s.start && f.start < s.stop && (f.lang == "console" || from.MatchString(f.marker)) {
			words = slices.Concat(words[:f.start-s.start], words[f.stop-s.start:])
		}
	}
	return fmt.Sprintf("%x", sha256.Sum256(words))[:6]
}

// markTranslated gives each section of zh the hash of its English section.
func markTranslated(en, zh *page) error {
	if len(en.sections) != len(zh.sections) {
		return fmt.Errorf("%s has other headings than %s", zh.path, en.path)
	}
	var marked []byte
	for i, s := range zh.sections {
		heading, rest := zh.source[s.start:max(s.start, s.headingEnd)], zh.source[max(s.start, s.headingEnd):s.stop]
		marked = append(marked, heading...)
		if i > 0 {
			marked = fmt.Appendf(marked, "\n<!-- en: %s -->", en.hash(en.sections[i]))
		}
		marked = append(marked, stamp.ReplaceAll(rest, nil)...)
	}
	return os.WriteFile(filepath.Join(zh.root, zh.path), marked, 0o644)
}
