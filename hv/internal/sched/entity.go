// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

import (
	"errors"
	"math/bits"
	"sync/atomic"
)

type state uint8

const (
	detached state = iota
	blocked
	waiting
	running
	throttled
)

// Entity is something to schedule. It is part of its owner's structure and must
// not be copied. All fields but Owner are the scheduler's.
type Entity struct {
	// Owner is for the caller, to find what contains the entity.
	Owner any

	next, prev *Entity
	// cpu is the queue that the entity belongs to; its lock guards the rest.
	// It changes only under the locks of both queues.
	cpu        atomic.Int32
	state      state
	woken      bool // Wake while running
	leaving    bool // Remove while running
	weight     uint32
	cap        uint32
	hard, soft CPUSet

	v         uint64 // virtual time; compared modulo 2^64
	bonus     uint64 // Scheduler.bonus and least as virtual time
	least     uint64
	edge      uint64 // how far behind everybody may be who comes
	asleep    uint64 // virtual time of the next one when it blocked, for rejoin
	woke      uint64 // when it woke up, or its period began after a cap
	remainder uint64 // of the division that made v
	ran       atomic.Uint64
	usage     uint64 // running time, fading within a window
	usageAt   uint64

	had   uint64 // running time, fading within Scheduler.memory, up to seen
	seen  uint64
	ranAt uint64 // ran at that time

	budget  int64  // of this period; negative after an overrun
	period  uint64 // when it began
	readyAt uint64 // when a throttled entity is free
}

// virtual converts running time of e to virtual time.
func (e *Entity) virtual(t uint64) uint64 {
	if e.weight == DefaultWeight {
		return t
	}
	hi, lo := bits.Mul64(t, DefaultWeight)
	v, _ := bits.Div64(hi%uint64(e.weight), lo, uint64(e.weight))
	return v
}

// before compares virtual times.
func before(a, b uint64) bool { return int64(a-b) < 0 }

// advance adds running time t to e's virtual time, to the last fraction.
func (e *Entity) advance(t uint64) {
	scaled := t*DefaultWeight + e.remainder
	w := uint64(e.weight)
	e.v += scaled / w
	e.remainder = scaled % w
}

// fade brings e's usage up to date; a time before the last one changes nothing.
func (e *Entity) fade(now, window uint64) {
	if elapsed(e.usageAt, now) >= window/fadeSteps {
		e.usage, e.usageAt = e.faded(now, window), now
	}
}

// owe charges e for time that another has run on its behalf. It counts for its
// turn and its cap, not as time that it ran.
//
// Preconditions: e does not wait.
func (e *Entity) owe(t uint64) {
	e.v += e.virtual(t)
	e.budget -= int64(t)
	e.usage += t
}

// refund gives e its turn back for time that another owes. Its cap counts all the
// same: nobody raises it by having others interrupt.
//
// Preconditions: e does not wait.
func (e *Entity) refund(t uint64) { e.v -= e.virtual(t) }

// fadeSteps is in how many steps usage fades.
const fadeSteps = 256

// faded returns the recent usage as it is now: it fades to nothing in window.
func (e *Entity) faded(now, window uint64) uint64 {
	return faded(e.usage, elapsed(e.usageAt, now), window)
}

// faded returns what is left of t after gone, if it fades to nothing in window.
func faded(t, gone, window uint64) uint64 {
	if gone >= window {
		return 0
	}
	hi, lo := bits.Mul64(t, window-gone)
	u, _ := bits.Div64(hi%window, lo, window)
	return u
}

// light reports whether e has used less than a sixteenth of a CPU lately.
func (e *Entity) light(window, now uint64) bool {
	return e.usage <= window/16 || e.faded(now, window) <= window/16
}

// quantum is what a cap allows in one period, at least 1.
func (s *Scheduler) quantum(share uint32) int64 {
	return max(int64(s.period*uint64(share)/CapCPU), 1)
}

// exhausted reports whether e has a cap and nothing left of it, after what is
// due was added.
func (s *Scheduler) exhausted(e *Entity, now uint64) bool {
	if e.cap == 0 {
		return false
	}
	quantum := s.quantum(e.cap)
	if n := elapsed(e.period, now) / s.period; n > 0 {
		e.period += n * s.period
		// What one period has left may be used in the next, not later; an overrun is kept.
		e.budget = min(2*quantum, e.budget+quantum*int64(min(n, 1<<20)))
	}
	if e.budget > 0 {
		return false
	}
	missing := uint64(-e.budget)/uint64(quantum) + 1
	e.readyAt = e.period + missing*s.period
	return true
}

// Add makes e known, blocked, with default weight, no cap and all CPUs. hard is
// the set of CPUs it may run on, empty for all.
func (s *Scheduler) Add(e *Entity, hard CPUSet, now uint64) error {
	if hard.Empty() {
		hard = s.online
	}
	if hard = hard.And(&s.online); hard.Empty() {
		return errAffinity
	}
	for {
		// Both locks: a late Wake may still look at the entity.
		from, to := int(e.cpu.Load()), s.roomiest(&hard)
		s.lockPair(from, to)
		same := int(e.cpu.Load()) == from
		free := same && e.state == detached
		if free {
			s.attach(e, to, hard, now)
		}
		s.unlockPair(from, to)
		switch {
		case free:
			return nil
		case same:
			return errors.New("sched: added twice")
		}
	}
}

// roomiest returns the CPU with the fewest entities of any state.
func (s *Scheduler) roomiest(set *CPUSet) int {
	best, fewest := 0, int32(1<<30)
	for cpu := range s.queues {
		if n := s.queues[cpu].members.Load(); set.Has(cpu) && n < fewest {
			best, fewest = cpu, n
		}
	}
	return best
}

// attach sets all fields of a detached entity.
func (s *Scheduler) attach(e *Entity, cpu int, hard CPUSet, now uint64) {
	q := &s.queues[cpu]
	q.members.Add(1)
	e.cpu.Store(int32(cpu))
	e.state, e.woken, e.leaving = blocked, false, false
	e.cap, e.hard, e.soft = 0, hard, hard
	s.weigh(e, DefaultWeight)
	if s.pinned {
		e.hard = CPUSet{}
		e.hard.Add(cpu)
		e.soft = e.hard
	}
	e.v, e.remainder, e.usage, e.usageAt = q.min, 0, 0, now
	e.asleep = q.min
	e.had, e.seen, e.ranAt = 0, 0, 0
	e.ran.Store(0)
}

var errAffinity = errors.New("sched: no such CPU")

// Remove forgets e. If it runs, it does so until the next Switch on the returned
// CPU, which must be kicked; otherwise NoCPU is returned and e is free at once.
func (s *Scheduler) Remove(e *Entity) (kick int) {
	q, cpu := s.lock(e)
	defer q.mu.Unlock()
	if e.state == detached || e.leaving {
		return NoCPU
	}
	q.members.Add(-1)
	if e.state == running {
		e.leaving = true
		return s.want(cpu)
	}
	q.withdraw(e)
	e.state = detached
	return NoCPU
}

// Block makes a runnable entity blocked, until Wake. If it runs, it does so
// until its runner puts it back, not runnable: that CPU is returned to be kicked.
func (s *Scheduler) Block(e *Entity) (kick int) {
	q, cpu := s.lock(e)
	defer q.mu.Unlock()
	switch e.state {
	case running:
		e.woken = false
		return s.want(cpu)
	case waiting, throttled:
		q.withdraw(e)
		e.state = blocked
	}
	return NoCPU
}

// Removed reports whether e is free after Remove.
func (s *Scheduler) Removed(e *Entity) bool {
	q, _ := s.lock(e)
	defer q.mu.Unlock()
	return e.state == detached
}

// Ran returns the time that e ran, up to the last Switch or Charge.
func (e *Entity) Ran() uint64 { return e.ran.Load() }

// CPU returns the CPU where e runs, waits or last ran.
func (e *Entity) CPU() int { return int(e.cpu.Load()) }

// SetWeight sets the weight, 1 to MaxWeight, from now on.
func (s *Scheduler) SetWeight(e *Entity, weight uint32) error {
	if weight < 1 || weight > MaxWeight {
		return errors.New("sched: weight is not within 1 to 65535")
	}
	q, _ := s.lock(e)
	defer q.mu.Unlock()
	if e.state == waiting || e.state == running {
		q.load.Add(int64(weight) - int64(e.weight))
	}
	s.weigh(e, weight)
	return nil
}

// weigh gives e its weight.
func (s *Scheduler) weigh(e *Entity, weight uint32) {
	e.weight, e.remainder = weight, 0
	e.bonus, e.least = e.virtual(s.bonus), e.virtual(s.least)
	e.edge = min(e.bonus, s.bonus/8)
}

// SetCap limits e to a share of one CPU in hundredths of a percent, 1 to
// CapCPU; 0 is no limit. A domain's cap is divided among its vCPUs by the
// caller. It returns the CPU to kick, or NoCPU.
func (s *Scheduler) SetCap(e *Entity, share uint32, now uint64) (kick int, err error) {
	if share > CapCPU {
		return NoCPU, errors.New("sched: cap is more than one CPU")
	}
	q, cpu := s.lock(e)
	defer q.mu.Unlock()
	e.cap = share
	e.period, e.budget = now, s.quantum(share)
	switch e.state {
	case throttled:
		q.withdraw(e)
		e.state = blocked
		return s.enqueue(e, q, cpu, now, false), nil
	case running:
		return s.want(cpu), nil
	}
	return NoCPU, nil
}

// Affinity returns the CPUs where e may run.
func (s *Scheduler) Affinity(e *Entity) CPUSet {
	q, _ := s.lock(e)
	defer q.mu.Unlock()
	return e.hard
}

// SetAffinity sets the CPUs where e may run (hard) and, of those, where it
// preferably runs (soft, empty for no preference). It returns the CPU to kick,
// or NoCPU. In pinned mode the soft set is ignored, and e keeps one CPU of hard.
func (s *Scheduler) SetAffinity(e *Entity, hard, soft CPUSet, now uint64) (kick int, err error) {
	if hard = hard.And(&s.online); hard.Empty() {
		return NoCPU, errAffinity
	}
	if soft = soft.And(&hard); soft.Empty() {
		soft = hard
	}
	q, cpu := s.lock(e)
	if s.pinned {
		to := cpu
		if !hard.Has(cpu) {
			to = hard.first()
		}
		hard = CPUSet{}
		hard.Add(to)
		soft = hard
	}
	e.hard, e.soft = hard, soft
	was := e.state
	if !hard.Has(cpu) && (was == waiting || was == throttled) {
		q.withdraw(e)
		e.state = blocked
		q.mu.Unlock()
		return s.Wake(e, now), nil
	}
	q.mu.Unlock()
	switch {
	case was == running && !hard.Has(cpu):
		return s.want(cpu), nil
	case was == waiting && !s.pinned:
		return s.claimIdle(&hard), nil // a CPU that it could not use until now
	}
	return NoCPU, nil
}
