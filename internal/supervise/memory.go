package supervise

import (
	"fmt"
	"os"
	"strings"
)

// Memory returns how much memory a process takes, in bytes: its own pages, and its share of
// the pages that several processes have, such as the program's code (PSS, see
// proc_pid_smaps(5)). It returns 0 if the process is gone, or where the kernel does not
// tell, as on macOS.
func Memory(pid int) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "Pss: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10
		}
	}
	return 0
}
