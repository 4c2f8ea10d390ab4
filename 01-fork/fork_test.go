package main

import (
	"bufio"
	"bytes"
	"context"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

const name = "01-fork"

// forever is a job that outlasts any test: whoever is still at it was left behind.
const forever = "1000000000"

// The shares of any number of workers make up the whole, whatever the last block.
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

// steps are what the processes say of a job in three shares, by speaker, with
// shares in the place of pids.
func steps(t *testing.T, out string) map[string][]string {
	t.Helper()
	lines, _ := clitest.ParseLines(out)
	forked := regexp.MustCompile(`^forked (\d+) for (share \d+) of \d+$`)
	var names []string
	for _, line := range lines {
		if parts := forked.FindStringSubmatch(line.Text); parts != nil {
			names = append(names, parts[1], "("+parts[2]+")")
		}
	}
	pids, said := strings.NewReplacer(names...), map[string][]string{}
	for _, line := range lines {
		who := line.Role
		if who == "worker" {
			who = pids.Replace(line.PID)
		}
		said[who] = append(said[who], pids.Replace(line.Text))
	}
	said["primary"] = said["primary"][:4] // what follows is its own report
	return said
}

// Node's own primary and worker are the reference: whichever end is in Go, the
// same steps lead to the same number of primes.
func TestSeatings(t *testing.T) {
	want := map[string][]string{
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
	job := []string{"-n", "3", "-below", "100000"}
	self, alone := clitest.Self(t), func(*testing.T) {}
	tests := []struct {
		name    string
		needs   func(*testing.T)
		command []string
		primes  string // how many, in each of the ways
	}{
		{"Go primary, Go workers", alone, append([]string{self}, job...), `(?s)\n1 goroutine +9592 .*\n3 goroutines +9592 .*\n3 processes +9592 `},
		{"Go primary, Node workers", clitest.NeedNode, append([]string{self, "-worker", "node node/worker.js"}, job...), `\n3 processes +9592 `},
		{"Node primary, Go workers", clitest.NeedNode, []string{"node", "node/primary.js", self, "3", "100000"}, `9592 primes by 3 processes`},
		{"Node primary, Node workers", clitest.NeedNode, []string{"node", "node/primary.js", "", "3", "100000"}, `(?s)9592 primes by 3 processes.*9592 primes by this one alone`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.needs(t)
			got := clitest.Run(t, test.command...)
			require.Equal(t, 0, got.Code, got.Stderr)
			require.Empty(t, got.Stderr)
			require.Regexp(t, test.primes, got.Stdout)
			require.Empty(t, cmp.Diff(want, steps(t, got.Stdout)))
			for line := range strings.Lines(got.Stdout) {
				require.LessOrEqual(t, len(line), 81, "wider than a terminal: %s", line)
			}
		})
	}
}

// Without -n there is a worker for each CPU that Go may use, and -n overrides it.
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

// What the table shows of a worker is the worker's own: another process each, with
// time and memory that the kernel has counted.
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
	require.LessOrEqual(t, alone.cpus(), float64(runtime.NumCPU())+0.5, "it has counted what was before")

	perGoroutine := goroutineMemory()
	require.Greater(t, perGoroutine, int64(2<<10), "less than the smallest stack")
	require.Less(t, perGoroutine, int64(16<<10))
}

// Whatever was measured, the words fit the figures: one CPU, busy CPUs and slow
// starts are not told as if the work could not be shared.
func TestVerdict(t *testing.T) {
	made := func(name string, wall, cpu time.Duration) result {
		return result{name: name, wall: wall * time.Millisecond, cpu: cpu * time.Millisecond}
	}
	tests := []struct {
		name                         string
		n, gomaxprocs, cpus          int
		alone, goroutines, processes result
		want                         string
	}{
		{"two idle CPUs", 2, 2, 2,
			made("1 goroutine", 1000, 1000), made("2 goroutines", 500, 1000), made("2 processes", 520, 1010),
			"2 goroutines were 2.00 times as fast as 1 goroutine, 2 processes 1.92 times.\n"},
		{"busy CPUs", 2, 2, 2,
			made("1 goroutine", 1000, 1000), made("2 goroutines", 900, 1000), made("2 processes", 920, 1010),
			"2 goroutines were 1.11 times as fast as 1 goroutine, 2 processes 1.09 times.\n" +
				"2 goroutines had 1.11 of 2 CPUs: other programs, or a limit, took the rest.\n" +
				"2 processes had 1.10 of 2 CPUs: other programs, or a limit, took the rest.\n"},
		{"busy from the start", 2, 2, 2,
			made("1 goroutine", 2000, 1000), made("2 goroutines", 500, 1000), made("2 processes", 500, 1000),
			"2 goroutines were 4.00 times as fast as 1 goroutine, 2 processes 4.00 times.\n" +
				"1 goroutine had 0.50 of 1 CPU: other programs, or a limit, took the rest.\n"},
		{"one CPU, two workers", 2, 1, 1,
			made("1 goroutine", 1000, 1000), made("2 goroutines", 1000, 1000), made("2 processes", 1040, 1010),
			"2 goroutines were 1.00 times as fast as 1 goroutine, 2 processes 0.96 times.\n" +
				"Only one CPU is allowed here: more workers take turns on it.\n"},
		{"one CPU, one worker", 1, 1, 1,
			made("1 goroutine", 1000, 1000), made("1 goroutine", 1000, 1000), made("1 process", 1010, 1000),
			"Only one CPU is allowed here: more workers take turns on it.\n"},
		{"one worker of two", 1, 2, 2,
			made("1 goroutine", 1000, 1000), made("1 goroutine", 1000, 1000), made("1 process", 1010, 1000),
			"There are 2 CPUs, and one worker uses one of them.\n"},
		{"more workers than CPUs", 8, 2, 2,
			made("1 goroutine", 1000, 1000), made("8 goroutines", 500, 1000), made("8 processes", 520, 1010),
			"8 goroutines were 2.00 times as fast as 1 goroutine, 8 processes 1.92 times.\n" +
				"Only 2 CPUs are allowed here: more workers take turns on them.\n"},
		{"GOMAXPROCS is 1 of 2", 2, 1, 2,
			made("1 goroutine", 1000, 1000), made("2 goroutines", 1000, 1000), made("2 processes", 520, 1010),
			"2 goroutines were 1.00 times as fast as 1 goroutine, 2 processes 1.92 times.\n" +
				"GOMAXPROCS lets one Go process use only 1 of 2 CPUs.\n"},
		{"GOMAXPROCS is 8 of 2", 8, 8, 2,
			made("1 goroutine", 1000, 1000), made("8 goroutines", 500, 1000), made("8 processes", 520, 1010),
			"8 goroutines were 2.00 times as fast as 1 goroutine, 8 processes 1.92 times.\n" +
				"Only 2 CPUs are allowed here: more workers take turns on them.\n"},
		{"nothing to do", 2, 2, 2,
			made("1 goroutine", 1, 1), made("2 goroutines", 1, 1), made("2 processes", 20, 40),
			"The job is too small to compare: counting took less than starting.\n"},
		{"two halves of a core", 2, 2, 2,
			made("1 goroutine", 1000, 1000), made("2 goroutines", 700, 1400), made("2 processes", 720, 1440),
			"2 goroutines were 1.43 times as fast as 1 goroutine, 2 processes 1.39 times.\n" +
				"2 goroutines took 1.40 times the CPU time of 1 goroutine: a start costs some,\n" +
				"and CPUs that are two halves of one core slow each other down.\n" +
				"2 processes took 1.44 times the CPU time of 1 goroutine: a start costs some,\n" +
				"and CPUs that are two halves of one core slow each other down.\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, verdict(test.n, test.gomaxprocs, test.cpus, test.alone, test.goroutines, test.processes))
		})
	}
}

// On two CPUs with nothing else to do the work can be shared. Somebody else may
// be at work for a while, hence several tries.
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

// script is an executable shell script, for -worker.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker.sh")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755))
	return path
}

// Bad input, and workers that fail: one clear line, an exit code that says whose
// fault it is, and nothing left running.
func TestComplaints(t *testing.T) {
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-x"}, 2, "flag provided but not defined: -x"},
		{[]string{"-n"}, 2, "flag needs an argument: -n"},
		{[]string{"-n", "x"}, 2, `invalid value "x" for flag -n`},
		{[]string{"-n", "0"}, 2, "-n 0: there can be 1 to 512 workers"},
		{[]string{"-n", "-1"}, 2, "-n -1: there can be 1 to 512 workers"},
		{[]string{"-n", "100000"}, 2, "-n 100000: there can be 1 to 512 workers"},
		{[]string{"-below", "0"}, 2, "-below 0: the number must be 1 to 1000000000"},
		{[]string{"-below", "1000000001"}, 2, "-below 1000000001: the number must be 1 to 1000000000"},
		{[]string{"boss"}, 2, `unexpected arguments ["boss"]`},
		{[]string{"-n", "2", "worker"}, 2, `unexpected arguments ["worker"]`},
		{[]string{"worker"}, 1, "worker: not forked: NODE_CHANNEL_FD is not set"},
		{[]string{"-worker", "no-such-program"}, 1, "executable file not found"},
		{[]string{"-worker", t.TempDir()}, 1, "permission denied"},
		{[]string{"-worker", "true"}, 1, "ended with code 0 and no result"},
		{[]string{"-worker", script(t, `kill -9 $$`)}, 1, "ended with signal killed and no result"},
		{[]string{"-worker", script(t, `echo first >&2; echo second >&2; exit 7`)}, 1, "ended with code 7 and no result: second"},
		{[]string{"-worker", script(t, `echo nonsense >&3; read x <&3`)}, 1, "message: jsontext: invalid character"},
		{[]string{"-worker", script(t, `echo '{"primes":1,"wall":1}' >&3; while read x; do :; done <&3`)}, 1, "the counts differ: 25 by 1 goroutine"},
		{[]string{"-worker", script(t, `exec 3>&-; exec sleep 10`)}, 1, "closed its channel and did not exit"},
		{[]string{"-worker", script(t, `read x <&3; echo '{"primes":25,"wall":1}' >&3; exec sleep 10`)}, 1, "did not exit after the disconnect"},
		{[]string{"-worker", script(t, `printf '\033[2J%0300d' 0 >&2; exit 7`)}, 1, "no result: \ufffd[2J0000"},
		{[]string{"-worker", script(t, `echo '{"primes":1,"wall":1}' >&3; while read x; do :; done <&3; echo late >&2; exit 7`)}, 1, "ended with code 7: late"},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			words := append([]string{clitest.Self(t)}, test.args...)
			if test.code == 1 && test.args[0] != "worker" {
				words = append(words, "-below", "100")
			}
			clitest.RequireComplaint(t, clitest.Run(t, words...), test.code, name, test.want)
		})
	}
}

// Where no more may be forked, those that are at work are ended first. The second
// kind of worker would not notice the end of the primary.
func TestForkFails(t *testing.T) {
	for limit, want := range map[string]string{
		"-n 30": "too many open files",
		"-u 40": "temporarily unavailable", // processes and threads
	} {
		t.Run(want, func(t *testing.T) {
			for _, job := range [][]string{{"-below", forever}, {"-worker", "sleep 1000"}} {
				got := runLimited(t, limit, append(job, "-n", "100")...)
				require.Contains(t, got.Stdout, "for share 1 of 100", "not even one was forked")
				clitest.RequireComplaint(t, got, 1, name, want)
			}
		})
	}
}

// runLimited tries again when it was the primary's own runtime that got no
// thread: such a process is lost before it can say anything in one line.
func runLimited(t *testing.T, limit string, args ...string) (got clitest.Result) {
	t.Helper()
	for range 10 {
		got = clitest.RunLimited(t, limit, args...)
		if got.Code == 1 {
			break
		}
	}
	return got
}

// A worker that fails takes the others with it, also those that would not notice,
// before inProcesses returns.
func TestNoWorkerIsLeft(t *testing.T) {
	var said bytes.Buffer
	clitest.ForkSelf(t)
	say = log.New(&said, "", 0)
	worker := script(t, `read x <&3; case $x in *'"number":0'*) exit 7;; esac; exec sleep 1000`)
	_, _, err := inProcesses(context.Background(), split(3, 100), func() *exec.Cmd { return exec.Command(worker) })
	require.ErrorContains(t, err, "ended with code 7")
	pids := regexp.MustCompile(`forked (\d+)`).FindAllStringSubmatch(said.String(), -1)
	require.Len(t, pids, 3)
	for _, found := range pids {
		pid, err := strconv.Atoi(found[1])
		require.NoError(t, err)
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	}
}

// What workers that do well say on standard error is not lost.
func TestWorkersSpeakUp(t *testing.T) {
	worker := script(t, "echo by the result >&2; exec '"+clitest.Self(t)+"' worker\n")
	got := clitest.Run(t, clitest.Self(t), "-n", "2", "-below", "100", "-worker", worker)
	require.Equal(t, 0, got.Code, got.Stderr)
	require.Equal(t, strings.Repeat("by the result\n", 2), got.Stderr)
}

func TestHelp(t *testing.T) {
	require.Equal(t, clitest.Result{Stdout: usage}, clitest.Run(t, clitest.Self(t), "-h"))
}

// Ctrl-C ends the workers, though the signal reached only the primary.
func TestInterrupt(t *testing.T) {
	clitest.RequireInterruptible(t, name, 3, clitest.Self(t), "-n", "2", "-below", forever)
	clitest.RequireInterruptible(t, name, 3, clitest.Self(t), "-n", "2", "-worker", "sleep 1000")
}

// The workers of a primary that is killed hear of it at once, busy as they are.
func TestPrimaryKilled(t *testing.T) {
	cmd := clitest.Command(t, clitest.Self(t), "-n", "2", "-below", forever)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	out, counting := bufio.NewScanner(stdout), 0
	for counting < 2 && out.Scan() {
		if strings.Contains(out.Text(), "counting") {
			counting++
		}
	}
	require.Equal(t, 2, counting)
	require.NoError(t, cmd.Process.Kill())
	cmd.Wait()
}
