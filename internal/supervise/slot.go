package supervise

// NoSlot is what Slot returns for a worker that has none yet.
const NoSlot = -1

// SlotAtStart returns the slot that the worker is for, and whether it had it at its start.
func (w *Worker) SlotAtStart() (number int, had bool) { return w.number, w.first }

// Slot returns the worker's slot, which no other process has, or NoSlot. A worker has its slot
// until its process has ended, and only then does the next one get it: so the new worker of a
// reload has none while the old worker finishes its requests.
func (w *Worker) Slot() int {
	w.supervisor.mu.Lock()
	defer w.supervisor.mu.Unlock()
	return w.owned()
}

// InSlot returns the worker that has a slot, or nil.
func (s *Supervisor) InSlot(slot int) *Worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.owners[slot]; w != nil && w.owned() == slot {
		return w
	}
	return nil
}

// owned is Slot for a caller with the lock.
func (w *Worker) owned() int {
	if w.supervisor.owners[w.number] != w || !w.told {
		return NoSlot
	}
	return w.number
}

// takeSlot tells the worker, which owns its slot by now, and then everyone.
func (w *Worker) takeSlot() {
	s := w.supervisor
	if s.cfg.TellSlot != nil {
		s.cfg.TellSlot(w, w.number)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.told = true
	if s.cfg.TellSlot != nil && s.owners[w.number] == w {
		s.cfg.Notify(SlotTaken{w, w.number})
	}
}

// claim gives a slot to the worker that waits for it, once the process before it has ended.
func (s *Supervisor) claim(number int) {
	for _, w := range s.workers {
		if w.slot == number && s.owners[number] == nil {
			s.owners[number] = w
			s.running.Go(w.takeSlot)
		}
	}
}
