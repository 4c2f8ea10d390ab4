package cluster

import (
	"encoding/json"
	"os"
)

// shared is the scheduler of None: it gives each worker the socket itself, which the first of
// them makes listen. The kernel gives each connection to one of the workers that wait for it.
// Connections that no worker has accepted wait in the kernel's queue, which the primary keeps
// open. A connection that a worker has accepted is lost when the worker dies, and a frozen worker
// goes undetected.
type shared struct {
	port   *port
	socket *os.File
}

// addWorker replies with the socket.
func (s shared) addWorker(w *Worker, reply message) {
	reply.Errno = json.RawMessage("0")
	w.enqueue(reply, s.socket)
}

func (shared) acceptsLate(*Worker)  {} // the kernel has accepted it before
func (shared) removeWorker(*Worker) {}
func (s shared) finish()            { s.port.release() } // the workers still have the socket
func (shared) rejectAll() int       { return 0 }
func (s shared) queued() int        { return backlogOf(s.socket) }
func (s shared) close()             { s.socket.Close() }
