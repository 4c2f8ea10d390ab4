package watch

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"syscall"

	"playing-with-processes/05-cluster/cluster"
)

// badRequest is a mistake in a request.
type badRequest string

func (e badRequest) Error() string { return string(e) }

// busy is why something cannot be done now.
type busy string

func (e busy) Error() string { return string(e) }

const (
	noCluster = busy("there is no cluster now: it is about to start")
	most      = 16 // workers
	fewest    = 1
)

// actions are what the buttons ask for, by the last element of the path.
var actions map[string]func(p *Page, q url.Values) error

func init() { // act refers to them
	actions = map[string]func(p *Page, q url.Values) error{
		"kill":   signal("kill", "kill -9", syscall.SIGKILL),
		"freeze": signal("freeze", "kill -STOP", syscall.SIGSTOP),
		"wake":   signal("wake", "kill -CONT", syscall.SIGCONT),
		"reload": func(p *Page, _ url.Values) error { return p.reload(false) },
		"broken": func(p *Page, _ url.Values) error { return p.reload(true) },
		"more":   func(p *Page, _ url.Values) error { return p.scale("more", "kill -TTIN", 1) },
		"fewer":  func(p *Page, _ url.Values) error { return p.scale("fewer", "kill -TTOU", -1) },
		"kills":  (*Page).killMany,
		"policy": (*Page).choosePolicy,
		"rate":   (*Page).chooseRate,
		"slow":   (*Page).chooseSlow,
		"visit":  (*Page).visitOnce,
	}
}

// signal returns the action that sends a worker a signal.
func signal(what, command string, s syscall.Signal) func(p *Page, q url.Values) error {
	return func(p *Page, q url.Values) error {
		primary, err := p.ready()
		if err != nil {
			return err
		}
		workers := primary.Workers()
		i := slices.IndexFunc(workers, func(w *cluster.Worker) bool { return strconv.Itoa(w.ID()) == q.Get("worker") })
		if i < 0 {
			return badRequest(fmt.Sprintf("there is no worker %q", q.Get("worker")))
		}
		p.history.mark(what, fmt.Sprintf("%s %d", command, workers[i].Pid()))
		workers[i].Signal(s)
		return nil
	}
}

// reload begins a reload, to a program that does not start if broken is set.
func (p *Page) reload(broken bool) error {
	primary, err := p.ready()
	if err != nil {
		return err
	}
	if r := primary.QuickStatus().Reload; r != nil && r.State == cluster.ReloadRunning {
		return busy("a reload is running")
	}
	what, command := "reload", fmt.Sprintf("kill -USR2 %d", os.Getpid())
	if broken {
		what, command = "broken", command+" # with a program on the disk that does not start"
	}
	p.history.mark(what, command)
	p.broken.Store(broken)
	p.start(func() {
		defer p.broken.Store(false)
		primary.Reload(p.ctx) // its end is an event
	})
	return nil
}

func (p *Page) scale(what, command string, by int) error {
	primary, err := p.ready()
	if err != nil {
		return err
	}
	size := primary.Size() + by
	if size < fewest || size > most {
		return busy(fmt.Sprintf("there can be %d to %d workers here", fewest, most))
	}
	p.history.mark(what, fmt.Sprintf("%s %d", command, os.Getpid()))
	return primary.Scale(size)
}

// choosePolicy has the cluster started again with another policy, once the visitors are gone.
func (p *Page) choosePolicy(q url.Values) error {
	policy := cluster.Policy(q.Get("to"))
	if !slices.Contains(cluster.Policies(), policy) {
		return badRequest(fmt.Sprintf("there is no policy %q", policy))
	}
	p.mu.Lock()
	end, ready := p.end, p.serving && p.next == ""
	if ready {
		p.next = policy
	}
	p.mu.Unlock()
	if !ready {
		return noCluster
	}
	p.history.mark("policy", "05-cluster -sched "+string(policy))
	p.start(func() {
		p.untilGone()
		end()
	})
	return nil
}

func (p *Page) chooseRate(q url.Values) error {
	rate, err := strconv.Atoi(q.Get("to"))
	if err != nil || rate < 0 || rate > visitsPerSecond {
		return badRequest(fmt.Sprintf("0 to %d visitors may come in a second", visitsPerSecond))
	}
	p.visitors.mu.Lock()
	defer p.visitors.mu.Unlock()
	p.visitors.rate = rate
	return nil
}

func (p *Page) chooseSlow(q url.Values) error {
	slow, err := strconv.ParseBool(q.Get("to"))
	if err != nil {
		return badRequest("slow visits are true or false")
	}
	p.visitors.mu.Lock()
	defer p.visitors.mu.Unlock()
	p.visitors.slow = slow
	return nil
}

func (p *Page) visitOnce(url.Values) error {
	err := p.comes()
	if err == nil {
		p.history.log("$ curl " + p.open())
	}
	return err
}
