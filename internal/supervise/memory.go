package supervise

import (
	"fmt"
	"os"
	"strings"
)

// Memory is what a process takes, in bytes: its own pages, and its part of those that it
// shares with others, such as the program itself (Pss in proc_pid_smaps(5)). It is 0
// where the kernel does not tell, as macOS's, or the process has gone.
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
