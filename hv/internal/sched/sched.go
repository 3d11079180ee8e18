// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package sched decides which entity (vCPU) runs where and until when. Time is
// an argument, in any unit the caller likes (nanoseconds, TSC ticks), so that
// all of it is tested on simulated CPUs.
//
// Every CPU has a queue of waiting entities, ordered by virtual time: what an
// entity ran, divided by its weight. The entity that is furthest behind runs
// next, for a slice: a third of a tick unless [Scheduler.SetSlice] says otherwise. One
// that wakes up, and has used little lately, is behind by what it left unused, but
// never by more than a bound: so it runs at once, and cannot starve anybody however
// often it sleeps. One that has used more is as far behind as it was when it fell
// asleep. Hence an entity waits at most one tick for each competitor of its weight (two
// if that is above the default).
//
// Time that one runs on behalf of another is the other's: who serves an access or a
// timer bills it ([Scheduler.Bill], [Scheduler.Switch]), and who preempts pays for
// the switch. So nobody gets more than a share by making others work.
//
// A CPU that runs dry takes waiting entities from others; every five ticks a CPU also
// looks whether a move or an exchange with another makes more even what everybody has
// had in the last seconds, so that three entities on two CPUs, or any others that
// compute, have what their weights give. Capped entities get their share of each
// period of three ticks, then wait for the next; what they could not use of one they
// may use in the next.
//
// One runner per CPU calls [Scheduler.Pick] while it has nothing to run, and
// [Scheduler.Switch] at the end of each run. All other methods may be called from
// anywhere at any time. No method but [New] allocates.
package sched

import (
	"sync"
	"sync/atomic"
)

// Weights and caps.
const (
	DefaultWeight = 256
	MaxWeight     = 65535
	// CapCPU is the cap of one whole CPU: caps are in hundredths of a percent.
	CapCPU = 10000
)

// Forever as a time means: no timer is needed.
const Forever = ^uint64(0)

// NoCPU is returned where no CPU must be kicked.
const NoCPU = -1

// Config is what a scheduler is made for.
type Config struct {
	CPUs int // 1 to MaxCPUs
	// First is the first CPU on which entities run, below CPUs. No runner of a
	// CPU before it calls Pick.
	First int
	// Tick is 10 ms in the caller's unit of time, at least 1000.
	Tick uint64
	// Pinned gives each entity one CPU when it is added; it never leaves it.
	Pinned bool
}

// Scheduler schedules entities on CPUs.
type Scheduler struct {
	queues []queue
	// byCPU is queues by an index that needs no check.
	byCPU  [MaxCPUs]*queue
	online CPUSet
	pinned bool
	// several: there is another CPU to look at, see balance.
	several bool

	slice    atomic.Uint64 // longest run while others wait
	bonus    uint64        // most that a waking entity is ahead of others
	least    uint64        // lead that is worth a preemption
	toll     uint64        // price of a preemption, which the one that wakes up pays
	most     uint64        // most of one bill: who works may have been busy otherwise
	interval uint64        // between balances
	window   uint64        // in which usage fades
	memory   uint64        // in which it fades for balances
	recent   uint64        // without a sleep: computes; also in which a queue's share fades
	period   uint64        // of caps
}

// queue is the state of one CPU. Lock order: by index, lower first.
type queue struct {
	mu sync.Mutex
	// waiting entities by virtual time, and throttled ones in no order.
	waiting, throttled list
	cur                *Entity
	since              uint64 // cur is charged up to here
	alone              bool   // cur runs without the end of a slice
	min                uint64 // virtual time of the queue, never goes back
	balanced           uint64 // when this CPU last looked at others
	// For the next look at who computes here (party): when the last one was, the
	// weights of those, their time, fading, and what one of weight 1 has had, by 65536.
	looked, crowd, share, level uint64

	// These are written under mu and read without.
	members atomic.Int32  // entities of any state, for Add
	load    atomic.Int64  // sum of the weights of waiting and cur
	count   atomic.Int32  // number of waiting
	release atomic.Uint64 // when the first of throttled is free, Forever if none
	wanted  atomic.Bool
	// idle: the runner got nothing from Pick. Who clears it owes it a kick.
	idle atomic.Bool
	_    [64]byte
}

// New makes a scheduler without entities. It panics on a Config that is out of
// bounds.
func New(c Config) *Scheduler {
	if c.CPUs < 1 || c.CPUs > MaxCPUs || c.First < 0 || c.First >= c.CPUs || c.Tick < 1000 {
		panic("sched: bad configuration")
	}
	s := &Scheduler{
		queues: make([]queue, c.CPUs), pinned: c.Pinned,
		bonus: c.Tick / 3, least: c.Tick / 20, toll: c.Tick / 2000, most: c.Tick / 100,
		interval: 5 * c.Tick, window: 40 * c.Tick, memory: 800 * c.Tick, recent: 10 * c.Tick, period: 3 * c.Tick,
	}
	s.slice.Store(c.Tick / 3)
	for n := range s.queues {
		if n >= c.First {
			s.online.Add(n)
		}
		s.queues[n].release.Store(Forever)
		s.queues[n].share = s.recent
		s.byCPU[n] = &s.queues[n]
	}
	s.several = !c.Pinned && c.CPUs-c.First > 1
	return s
}

// Slice returns the longest run of an entity while others wait for its CPU.
func (s *Scheduler) Slice() uint64 { return s.slice.Load() }

// SetSlice changes it, for runs that begin from now on. A long one makes fewer switches,
// and others wait longer; what wakes up does not. t is at most ten ticks.
func (s *Scheduler) SetSlice(t uint64) { s.slice.Store(min(max(t, 1), 2*s.interval)) }

// Runs reports whether entities run on cpu, a number below Config.CPUs.
func (s *Scheduler) Runs(cpu int) bool { return s.online.Has(cpu) }

// Online returns the CPUs on which entities run.
func (s *Scheduler) Online() CPUSet { return s.online }

// Pick chooses what runs on cpu from now on. The runner must come back
// (Switch) at until at the latest, and when another CPU was told to kick this
// one. A nil entity means to idle, until then or until kicked. kick is a CPU to
// kick, or NoCPU.
//
// Preconditions: called by the runner of cpu, which runs nothing.
func (s *Scheduler) Pick(cpu int, now uint64) (e *Entity, until uint64, kick int) {
	q := &s.queues[cpu]
	q.wanted.Store(false)
	q.mu.Lock()
	if q.cur != nil {
		panic("sched: Pick while something runs")
	}
	return s.choose(q, cpu, now, NoCPU)
}

// choose is Pick with q locked; it unlocks it. helper is an idle CPU that has been
// called already, or NoCPU.
func (s *Scheduler) choose(q *queue, cpu int, now uint64, helper int) (e *Entity, until uint64, kick int) {
	kick = helper
	more := q.release.Load() <= now
	if more {
		s.unthrottle(q, now)
	}
	empty := q.waiting.head == nil
	due := elapsed(q.balanced, now) >= s.interval
	if empty || due {
		if due {
			q.balanced = now
		}
		// From here on a waker that finds no better place kicks this CPU: nothing
		// that becomes waiting elsewhere during the search is overlooked.
		q.idle.Store(empty)
		q.mu.Unlock()

		until = q.release.Load()
		switch {
		case s.pinned:
		case empty:
			until, kick = s.steal(cpu, now, kick)
			until = min(until, q.release.Load())
		case due:
			s.balance(cpu, now)
			more = true
		}
		q.mu.Lock()
	}
	if q.waiting.head != nil {
		e, until = s.first(q, now)
		if more {
			kick = s.help(q, kick)
		}
	}
	q.mu.Unlock()
	return e, until, kick
}

// first starts the entity of q that is furthest behind.
//
// Preconditions: q is locked, somebody waits.
func (s *Scheduler) first(q *queue, now uint64) (e *Entity, until uint64) {
	e = q.waiting.head
	q.take(e)
	return e, s.start(q, e, now)
}

// start makes e, which is in no list, the one that runs, and returns until when.
func (s *Scheduler) start(q *queue, e *Entity, now uint64) (until uint64) {
	q.load.Add(int64(e.weight))
	return s.begin(q, e, now)
}

// begin is start of one whose weight is part of the queue's load.
func (s *Scheduler) begin(q *queue, e *Entity, now uint64) (until uint64) {
	if q.idle.Load() {
		q.idle.Store(false)
	}
	e.state = running
	q.cur, q.since = e, now
	return s.until(q, e, now)
}

// until returns when e, which starts now, must be looked at again.
func (s *Scheduler) until(q *queue, e *Entity, now uint64) uint64 {
	t, slice := q.release.Load(), s.slice.Load()
	q.alone = q.waiting.head == nil
	switch {
	case !q.alone:
		t = min(t, now+slice)
	case s.several:
		t = min(t, max(q.balanced+s.interval, now+slice))
	}
	if e.cap != 0 {
		t = min(t, now+uint64(max(e.budget, 1)))
	}
	return t
}

// helper returns an idle CPU that can take e, which its own CPU will not run
// next, now or when its new period begins.
func (s *Scheduler) helper(e *Entity) int {
	if s.pinned || len(s.queues) == 1 {
		return NoCPU
	}
	return s.claimIdle(&e.hard)
}

// help returns an idle CPU that can take something that waits in q, unless one has
// been called already.
func (s *Scheduler) help(q *queue, called int) int {
	for e := q.waiting.head; e != nil && called == NoCPU; e = e.next {
		called = s.helper(e)
	}
	return called
}

// Waits reports whether something waits for cpu now.
func (s *Scheduler) Waits(cpu int) bool { return s.queues[cpu].count.Load() > 0 }

// Wanted returns the flag of cpu that tells its runner to Switch: it is
// set for every kick, and cleared by Pick. So a kick that reached the CPU
// outside of a guest, or came from itself, is not lost.
func (s *Scheduler) Wanted(cpu int) *atomic.Bool { return &s.queues[cpu].wanted }

// want makes the runner of cpu come back; the caller returns cpu to be kicked.
func (s *Scheduler) want(cpu int) int {
	s.queues[cpu].wanted.Store(true)
	return cpu
}

// Charge brings the account of what runs on cpu up to date.
func (s *Scheduler) Charge(cpu int, now uint64) {
	q := &s.queues[cpu]
	q.mu.Lock()
	if q.cur != nil {
		s.charge(q, now)
	}
	q.mu.Unlock()
}

// charge accounts for cur's run up to now. A time before the last one counts as
// that: clocks of CPUs may differ a little.
func (s *Scheduler) charge(q *queue, now uint64) {
	e := q.cur
	if e == nil {
		panic("sched: nothing runs here")
	}
	if now <= q.since {
		return
	}
	t := now - q.since
	q.since = now
	if e.weight == DefaultWeight {
		e.v += t
	} else {
		e.advance(t)
	}
	e.ran.Add(t)
	e.budget -= int64(t)
	// Short runs fade together: the difference is below one in fadeSteps.
	if now-e.usageAt >= s.window/fadeSteps {
		e.fade(now, s.window)
	}
	e.usage += t
	v := e.v
	if h := q.waiting.head; h != nil && before(h.v, v) {
		v = h.v
	}
	if before(q.min, v) {
		q.min = v // up to the entity furthest behind
	}
}

// Bill charges to for the time t that from has run on its behalf, which gets its
// turn back; but not for more than a hundredth of a tick, since from may have had
// other things to do meanwhile. Either may be in any state; from may be nil.
func (s *Scheduler) Bill(from, to *Entity, t uint64) {
	if from == to {
		return
	}
	t = min(t, s.most)
	if from != nil {
		s.adjust(from, t, (*Entity).refund)
	}
	s.adjust(to, t, (*Entity).owe)
}

// Interrupted bills e for an interrupt on its behalf that took t of what runs on
// cpu, and for the way out of a guest and back. If cpu is NoCPU, nobody was
// interrupted.
func (s *Scheduler) Interrupted(cpu int, e *Entity, t uint64) {
	var from *Entity
	if cpu != NoCPU {
		q := &s.queues[cpu]
		q.mu.Lock()
		from = q.cur
		q.mu.Unlock()
	}
	s.Bill(from, e, t+s.toll)
}

// adjust applies f to e, which keeps its place in the order of its queue.
func (s *Scheduler) adjust(e *Entity, t uint64, f func(*Entity, uint64)) {
	q, _ := s.lock(e)
	if e.state == waiting {
		q.take(e)
		f(e, t)
		q.insert(e)
	} else {
		f(e, t)
	}
	q.mu.Unlock()
}

// Wake makes e runnable. It returns the CPU to kick, or NoCPU. Waking what is
// runnable already does nothing.
func (s *Scheduler) Wake(e *Entity, now uint64) (kick int) { return s.wake(e, NoCPU, now) }

// WakeHere is [Scheduler.Wake] for an entity whose waker, running on cpu, is
// about to stop and wait for it: e takes over that CPU, which spares an
// interrupt to another one and its awakening. It is no preemption, so nobody pays
// for one: the waker would have its accesses for nothing, time after time. Where e
// may not run on cpu, it is Wake.
func (s *Scheduler) WakeHere(e *Entity, cpu int, now uint64) (kick int) {
	if s.pinned {
		cpu = NoCPU
	}
	return s.wake(e, cpu, now)
}

// wake puts e in the queue of CPU here, or where it fits best if that is NoCPU.
func (s *Scheduler) wake(e *Entity, here int, now uint64) (kick int) {
	for {
		q, from := s.lock(e)
		if e.state != blocked {
			e.woken = e.state == running
			q.mu.Unlock()
			return NoCPU
		}
		to := here
		if to == NoCPU || !e.hard.Has(to) {
			to = s.place(e, from)
		}
		if to == from {
			kick = s.enqueue(e, q, to, now, to == here)
			q.mu.Unlock()
			return kick
		}
		q.mu.Unlock()
		// Both locks, in order; then look again.
		s.lockPair(from, to)
		if int(e.cpu.Load()) == from && e.state == blocked {
			s.rank(e, q, &s.queues[to], now)
			e.move(q, &s.queues[to], to)
			kick = s.enqueue(e, &s.queues[to], to, now, to == here)
			s.unlockPair(from, to)
			return kick
		}
		// Somebody was faster. If place had claimed an idle CPU, it is again.
		t := &s.queues[to]
		t.idle.Store(t.cur == nil && t.waiting.head == nil)
		s.unlockPair(from, to)
	}
}

// enqueue makes a blocked entity of locked queue q runnable; here says that what
// runs on the CPU makes room for it: no idle CPU is called, and nobody preempted.
func (s *Scheduler) enqueue(e *Entity, q *queue, cpu int, now uint64, here bool) (kick int) {
	if s.exhausted(e, now) {
		q.throttle(e)
		return s.want(cpu) // its runner must arm the timer
	}
	if q.cur != nil {
		s.charge(q, now)
	}
	if e.woke = now; before(e.v, q.min-e.edge) {
		s.rejoin(q, e, now)
	}
	preempts := q.cur != nil && before(e.v+e.least, q.cur.v)
	if preempts && !here {
		e.owe(s.toll)
		q.cur.refund(s.toll)
	}
	q.insert(e)
	if q.cur == nil || q.alone || preempts {
		return s.want(cpu)
	}
	if here {
		return NoCPU
	}
	return s.helper(e) // a CPU may have become idle meanwhile
}

// limit sees to it that e, which joins q, is not further behind than it may be.
func (s *Scheduler) limit(q *queue, e *Entity) {
	if floor := q.min - e.bonus; before(e.v, floor) {
		e.v = floor
	}
}

// rejoin is limit for who wakes up and is behind by more than its edge. Only those who need little may be behind by what
// they left unused, all by the same if their weights are not too high: so they run at
// once. Others keep what they were behind when they blocked, if that is less by what is
// worth a preemption.
func (s *Scheduler) rejoin(q *queue, e *Entity, now uint64) {
	lead := e.edge
	if e.light(s.window, now) {
		lead = min(s.bonus, 4*e.bonus)
	} else if behind := e.asleep - e.v; int64(behind) > int64(lead) {
		lead = min(behind, e.bonus, s.bonus-s.least)
	}
	if floor := q.min - lead; before(e.v, floor) {
		e.v = floor
	}
}

func elapsed(from, to uint64) uint64 {
	if to <= from {
		return 0
	}
	return to - from
}

// lock locks the queue that e belongs to.
func (s *Scheduler) lock(e *Entity) (q *queue, cpu int) {
	for {
		cpu = int(e.cpu.Load())
		q = &s.queues[cpu]
		q.mu.Lock()
		if int(e.cpu.Load()) == cpu {
			return q, cpu
		}
		q.mu.Unlock()
	}
}

// lockPair locks two queues, which may be the same.
func (s *Scheduler) lockPair(a, b int) {
	s.queues[min(a, b)].mu.Lock()
	if a != b {
		s.queues[max(a, b)].mu.Lock()
	}
}

func (s *Scheduler) unlockPair(a, b int) {
	s.queues[a].mu.Unlock()
	if a != b {
		s.queues[b].mu.Unlock()
	}
}
