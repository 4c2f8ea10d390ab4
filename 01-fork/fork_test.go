package main

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
)

// Together, the shares of any number of workers must be the whole job, whatever the
// length of its last block.
func TestShares(t *testing.T) {
	for below, primes := range map[int]int{1: 0, 2: 0, 3: 1, 10_000: 1229, 10_008: 1230, 100_000: 9592} {
		for n := 1; n <= 12; n++ {
			sum := 0
			for _, part := range split(n, below) {
				count, err := part.count(t.Context())
				require.NoError(t, err)
				sum += count
			}
			require.Equal(t, primes, sum, "below %d in %d shares", below, n)
		}
	}
}

var wantSteps = map[string][]string{
	"primary": {
		"the job: count the primes below 100000; shares: 3",
		"forked (share 1) for share 1 of 3",
		"forked (share 2) for share 2 of 3",
		"forked (share 3) for share 3 of 3",
	},
	"(share 1)": {"counting share 1 of 3"},
	"(share 2)": {"counting share 2 of 3"},
	"(share 3)": {"counting share 3 of 3"},
}

// Any pair of a Go or Node primary and Go or Node workers must take the same steps and
// find the same number of primes. Node's primary and workers are the reference.
func TestPairs(t *testing.T) {
	self := clitest.Self(t)
	tests := []struct {
		name    string
		needs   func(*testing.T)
		command []string
		primes  string // in each of the ways
	}{
		{"Go primary, Go workers", nil,
			[]string{self, "-n", "3", "-below", "100000"},
			`(?s)\n1 goroutine +9592 .*\n3 goroutines +9592 .*\n3 processes +9592 `},
		{"Go primary, Node workers", clitest.NeedNode,
			[]string{self, "-worker", "node node/worker.js", "-n", "3", "-below", "100000"},
			`\n3 processes +9592 `},
		{"Node primary, Go workers", clitest.NeedNode,
			[]string{"node", "node/primary.js", self, "3", "100000"},
			`9592 primes by 3 processes`},
		{"Node primary, Node workers", clitest.NeedNode,
			[]string{"node", "node/primary.js", "", "3", "100000"},
			`(?s)9592 primes by 3 processes.*9592 primes by this one alone`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.needs != nil {
				test.needs(t)
			}
			got := clitest.Run(t, test.command...)
			require.Equal(t, 0, got.Code, got.Stderr)
			require.Empty(t, got.Stderr)
			require.Regexp(t, test.primes, got.Stdout)
			require.Empty(t, cmp.Diff(wantSteps, steps(t, got.Stdout)))
			for line := range strings.Lines(got.Stdout) {
				require.LessOrEqual(t, len(line), 81, "wider than a terminal: %s", line)
			}
		})
	}
}

// steps returns what the processes print about a job in three shares, up to the report.
// The keys are the processes. Workers are named after their shares instead of their pids.
func steps(t *testing.T, out string) map[string][]string {
	t.Helper()
	lines, _ := clitest.ParseLines(out)
	forked := regexp.MustCompile(`^forked (\d+) for (share \d+) of \d+$`)
	names, printed := map[string]string{}, map[string][]string{}
	for _, line := range lines {
		if parts := forked.FindStringSubmatch(line.Text); parts != nil {
			names[parts[1]] = "(" + parts[2] + ")"
		}
	}
	for _, line := range lines {
		process := line.Role
		if process == "worker" {
			process = names[line.PID]
		}
		printed[process] = append(printed[process], clitest.NameProcesses(line.Text, names))
	}
	printed["primary"] = printed["primary"][:4] // the report follows
	return printed
}

// Without -n there must be a worker for each CPU that Go may use.
func TestNumberOfWorkers(t *testing.T) {
	for _, test := range []struct {
		gomaxprocs string
		args       []string
		want       string
	}{
		{"3", nil, "shares: 3\n"},
		{"1", nil, "shares: 1\n"},
		{"1", []string{"-n", "5"}, "shares: 5\n"},
	} {
		cmd := clitest.Command(t, append([]string{clitest.Self(t), "-below", "100"}, test.args...)...)
		cmd.Env = append(cmd.Env, "GOMAXPROCS="+test.gomaxprocs)
		got := clitest.Finish(t, cmd)
		require.Equal(t, 0, got.Code, got.Stderr)
		require.Contains(t, got.Stdout, test.want)
	}
	t.Run("by affinity", func(t *testing.T) {
		if _, err := exec.LookPath("taskset"); err != nil {
			t.Skip("no taskset here")
		}
		got := clitest.Run(t, "taskset", "-c", "0", clitest.Self(t), "-below", "3000000")
		require.Contains(t, got.Stdout, "shares: 1\n")
		require.Contains(t, got.Stdout, "Only one CPU is allowed here")
	})
}

// Each worker must be a process of its own. Its time and memory must be its own, too, as
// the kernel counts them.
func TestWorkers(t *testing.T) {
	say = clitest.ForkSelf(t)
	done, workers, err := inProcesses(t.Context(), split(3, 300_000), func() *exec.Cmd { return ipc.Self("worker") })
	require.NoError(t, err)
	require.Equal(t, 25997, done.primes)
	pids, cpu := map[int]bool{os.Getpid(): true}, time.Duration(0)
	for _, w := range workers {
		pids[w.Pid()] = true
		cpu += w.cpu
		require.Positive(t, w.cpu)
		require.Positive(t, w.counted.Wall)
		require.Less(t, w.counted.Wall, done.wall.Seconds())
		require.Greater(t, w.memory, int64(1<<20))
	}
	require.Len(t, pids, 4)
	require.Equal(t, cpu, done.cpu)

	alone, err := inGoroutines(t.Context(), split(1, 300_000))
	require.NoError(t, err)
	require.Equal(t, done.primes, alone.primes)
	require.LessOrEqual(t, alone.cpus(), float64(runtime.NumCPU())+0.5, "CPU time from before is counted")
}

// A blocked goroutine must take a few kilobytes, of which the smallest stack is 2 KiB.
func TestGoroutineMemory(t *testing.T) {
	memory := goroutineMemory()
	require.Greater(t, memory, int64(2<<10), "less than the smallest stack")
	require.Less(t, memory, int64(16<<10))
}

// The primary must pass on the standard error of workers that succeed.
func TestStderrOfWorkers(t *testing.T) {
	worker := script(t, "echo by the result >&2; exec '"+clitest.Self(t)+"' worker\n")
	got := clitest.Run(t, clitest.Self(t), "-n", "2", "-below", "100", "-worker", worker)
	require.Equal(t, 0, got.Code, got.Stderr)
	require.Equal(t, strings.Repeat("by the result\n", 2), got.Stderr)
}

// Two idle CPUs must do the job faster than one. The test repeats, because other programs
// may use a CPU for a while.
func TestSoakSpeedUp(t *testing.T) {
	if os.Getenv("SOAK") == "" {
		t.Skip("needs idle CPUs: make soak")
	}
	say = clitest.ForkSelf(t)
	const enough, below = 1.6, 5_000_000
	var goroutines, processes float64
	for range 10 {
		alone, err := inGoroutines(t.Context(), split(1, below))
		require.NoError(t, err)
		together, err := inGoroutines(t.Context(), split(2, below))
		require.NoError(t, err)
		forked, _, err := inProcesses(t.Context(), split(2, below), func() *exec.Cmd { return ipc.Self("worker") })
		require.NoError(t, err)
		goroutines, processes = alone.over(together), alone.over(forked)
		t.Logf("2 goroutines %.2f, 2 processes %.2f times as fast", goroutines, processes)
		if goroutines > enough && processes > enough {
			return
		}
	}
	t.Fatalf("2 goroutines %.2f, 2 processes %.2f times as fast", goroutines, processes)
}
