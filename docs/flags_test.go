package docs

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

var (
	// programCall is a call of a chapter's program on a page, with its arguments.
	programCall = regexp.MustCompile("(?m)(?:go run \\./|/tmp/|bin/)(0[1-5])[\\w-]*( [^`\n;|&#]*)?")
	flagName    = regexp.MustCompile(`(?:^| )(-[a-z]+)\b`)
	quoted      = regexp.MustCompile(`"[^"]*"|'[^']*'`)
)

// usages are the flags of the programs.
var usages = sync.OnceValue(func() map[string][]string {
	flags := map[string][]string{}
	files, _ := filepath.Glob(filepath.Join(programs, "0*"))
	for _, program := range files {
		usage, _ := exec.Command(program, "-h").CombinedOutput()
		for _, name := range flagName.FindAllStringSubmatch(strings.ReplaceAll(string(usage), "[", " "), -1) {
			number := filepath.Base(program)[:2]
			flags[number] = append(flags[number], name[1])
		}
	}
	return flags
})

// checkFlags requires that a flag of a program on a page is in the program's usage text.
func checkFlags(p *page) (complaints []string) {
	for _, at := range programCall.FindAllSubmatchIndex(p.source, -1) {
		call := string(p.source[at[0]:at[1]])
		own, _, _ := strings.Cut(quoted.ReplaceAllString(call, ""), " -- ")
		if strings.Contains(own, "02-") { // its flags come before a program, which has its own
			own, _, _ = strings.Cut(own, " exec")
		}
		for _, name := range flagName.FindAllStringSubmatch(own, -1) {
			if number := string(p.source[at[2]:at[3]]); !slices.Contains(usages()[number], name[1]) {
				complaints = append(complaints, p.complain(at[0], "%s has no flag %s", number, name[1]))
			}
		}
	}
	return complaints
}
