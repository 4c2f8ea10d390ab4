package main

import (
	"embed"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed templates
var templates embed.FS

// docsFolder is where the page and its plots belong.
const docsFolder = "../docs"

// pages are the page in both languages. The plots have the suffix in their names.
var pages = []struct {
	suffix string
	in     language
}{
	{"", english},
	{".zh", chinese},
}

// writePages writes the page and its plots in both languages.
func writePages(folder string, results []result, m machine, o options) error {
	for _, p := range pages {
		view := pageView{In: p.in, Machine: m, Rounds: o.rounds, Time: o.time.String(), Sweep: o.all}
		for _, res := range results {
			view.Rows = append(view.Rows, res.view(p.in))
			if name := nameOf(res.yardstick()); view.Yardstick == "" {
				view.Yardstick = p.in(name)
			}
		}
		if err := writeTemplate(folder, "benchmarks"+p.suffix+".md", view); err != nil {
			return err
		}
		if err := writePlots(folder, p.suffix, p.in, results); err != nil {
			return err
		}
	}
	return nil
}

// writeTemplate writes the page that a template of the same name describes.
func writeTemplate(folder, name string, view pageView) error {
	page, err := template.ParseFS(templates, "templates/"+name)
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(folder, name))
	if err != nil {
		return err
	}
	defer file.Close()
	return page.Execute(file, view)
}
