package cluster

import (
	"encoding/json"
	"os"
)

// None: the workers have the socket, and race for each connection. Node's SCHED_NONE.
const None Policy = "none"

func init() { policies[None] = newShared }

// shared gives each worker the socket itself. The kernel gives each connection to one of
// those who wait for it, and what no worker has accepted waits in its queue, which the
// primary keeps. What a worker has accepted is its own: if it dies before it reads, nobody
// else can; and that it is frozen nobody sees.
type shared struct {
	port   *port
	socket *os.File
}

func newShared(_ *Primary, pt *port) scheduler {
	return shared{pt, os.NewFile(uintptr(pt.fd), pt.key)}
}

func (s shared) join(w *Worker, reply message) {
	reply.Errno = json.RawMessage("0") // with a socket
	w.post(reply, s.socket)
}

func (shared) leave(*Worker) {}
func (s shared) finish()     { s.port.release() } // the workers may still have it
func (shared) turnAway() int { return 0 }
func (s shared) queued() int { return backlogOf(s.socket) }
func (s shared) close()      { s.socket.Close() }
