// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

import "testing"

// arena simulates CPUs on which adversaries try to starve victims, in the way in
// which hv/internal/run uses the scheduler: accesses that a server (dom0) answers,
// hand-overs, timers that expire on somebody's CPU, kicks. What the CPU spends on
// leaving one guest and entering the next is lost to guests.
type arena struct {
	t      testing.TB
	who    any // what is played
	s      *Scheduler
	now    uint64
	cpus   []stage
	actors []*actor
	server *actor
	queue  []*actor // who waits for the server, in order
	billed uint64   // of the server's time, to others
	step   uint64   // of the records
	record []uint64 // unpaid at multiples of step
}

// overhead is what an exit and an entry cost, poll what the server spends before
// it sleeps, filter how long a spin lasts at least that makes an exit (some thousand
// PAUSEs).
const (
	overhead = 3
	poll     = 2
	filter   = 20
)

// stage is a CPU.
type stage struct {
	cur   *actor
	from  uint64 // cur makes progress since then, if that is not in the future
	until uint64
	began uint64 // Runner.now
	kick  bool
}

// deed is what an actor does next.
type deed struct {
	what what
	time uint64
}

type what uint8

const (
	compute what = iota
	access       // the server works for time
	sleep        // for time
	nothing
	spin // in vain, until an exit of the filter for spin loops
)

// actor is a vCPU.
type actor struct {
	Entity
	plan   []deed // for ever; none is to compute for ever
	at     int
	left   uint64 // of the present deed, or of what the server does
	wakeAt uint64
	woke   uint64 // when its timer expired
	asked  uint64 // when it made its access
	where  int    // the CPU that has its timer
	since  uint64 // runnable, but not running, since
	worst  uint64 // longest wait
	served uint64
	record []mark // at multiples of arena.step
	// What the server had worked unpaid at since, and the longest wait without that.
	free uint64
	owed uint64
}

// mark is what an actor has had: work done, and virtual time.
type mark struct{ served, v uint64 }

func newArena(t testing.TB, cpus int) *arena {
	m := &arena{t: t, s: New(Config{CPUs: cpus, Tick: tick}), cpus: make([]stage, cpus), step: 10 * ms}
	m.server = m.add(2048, deed{sleep, Forever})
	return m
}

// add makes an actor; the server is the first one.
func (m *arena) add(weight uint32, plan ...deed) *actor {
	a := &actor{plan: plan, wakeAt: Forever, left: Forever}
	a.Owner = a
	if err := m.s.Add(&a.Entity, CPUSet{}, m.now); err != nil {
		m.t.Fatal(err)
	}
	if err := m.s.SetWeight(&a.Entity, weight); err != nil {
		m.t.Fatal(err)
	}
	if m.server != nil {
		a.wakeAt = m.now
		a.begin()
	}
	m.actors = append(m.actors, a)
	return a
}

// begin takes up the next deed, if that is to compute; a spin takes some time too.
func (a *actor) begin() {
	if len(a.plan) == 0 {
		return
	}
	a.left = 0
	if a.plan[a.at].what == compute {
		a.left = a.plan[a.at].time
		a.at = (a.at + 1) % len(a.plan)
	}
	if a.plan[a.at].what == spin {
		a.left += filter
	}
}

// unpaid is the time that the server has run and nobody was charged for.
func (m *arena) unpaid() uint64 { return m.server.Ran() - m.billed }

// bill notes that the server's time was charged to somebody, as far as the scheduler
// lets that be.
func (m *arena) bill(t uint64) uint64 {
	m.billed += min(t, m.s.most)
	return t
}

// mark sees to it that cpu looks at what runs there.
func (m *arena) mark(cpu int) {
	if cpu != NoCPU {
		m.cpus[cpu].kick = true
	}
}

// settle accounts for what cpu's actor has done.
func (m *arena) settle(c *stage) {
	if a := c.cur; a != nil && m.now > c.from {
		n := m.now - c.from
		a.served += n
		a.left -= min(n, a.left)
		c.from = m.now
	}
}

// lose takes the overhead from what cpu runs.
func (c *stage) lose(now uint64) { c.from = max(c.from, now) + overhead }

// look is what a runner does at the end of a slice, after a kick, or at the end of
// a deed.
func (m *arena) look(cpu int) {
	c := &m.cpus[cpu]
	m.settle(c)
	c.kick = false
	a := c.cur
	switch {
	case a == nil:
		e, until, kick := m.s.Pick(cpu, m.now)
		m.mark(kick)
		m.start(cpu, e, until)
	case a.left == 0 && a == m.server && c.from <= m.now:
		m.serve(cpu)
	case a.left == 0 && c.from <= m.now:
		m.act(cpu, a)
	default:
		if until, ok := m.s.Stay(cpu, m.now); ok {
			c.until = until
			c.lose(m.now)
			return
		}
		m.leave(cpu, true, nil, 0)
	}
}

// leave ends the run of cpu's actor.
func (m *arena) leave(cpu int, runnable bool, to *actor, spent uint64) (e *Entity) {
	a := m.cpus[cpu].cur
	var next *Entity
	if to != nil {
		next = &to.Entity
	}
	e, until, kick := m.s.Switch(cpu, m.now, runnable, next, spent)
	m.waits(a)
	m.mark(kick)
	m.start(cpu, e, until)
	return e
}

// waits notes that a is runnable from now on, if it is.
func (m *arena) waits(a *actor) { a.since, a.free = m.now, m.unpaid() }

// waited notes how long a has waited.
func (m *arena) waited(a *actor) {
	n := m.now - a.since
	a.worst, a.owed = max(a.worst, n), max(a.owed, n-min(n, m.unpaid()-a.free))
}

// start makes e what cpu runs.
func (m *arena) start(cpu int, e *Entity, until uint64) {
	c := &m.cpus[cpu]
	c.cur, c.until, c.began = nil, until, m.now
	if e == nil {
		return
	}
	a := e.Owner.(*actor)
	m.waited(a)
	c.cur, c.from = a, m.now
	c.lose(m.now)
	if a == m.server && a.left == Forever {
		m.work()
	}
}

// work gives the server something to do.
func (m *arena) work() {
	m.server.left = poll
	if len(m.queue) > 0 {
		a := m.queue[0]
		m.server.left = a.plan[a.at].time
	}
}

// serve ends what the server did on cpu: an answer, or a last look.
func (m *arena) serve(cpu int) {
	c, a := &m.cpus[cpu], m.server
	a.left = Forever
	if len(m.queue) == 0 {
		m.leave(cpu, false, nil, 0)
		return
	}
	to := m.queue[0]
	m.queue = m.queue[1:]
	to.at = (to.at + 1) % len(to.plan)
	to.begin()
	m.waits(to)
	spent := m.bill(m.now - min(m.now, max(c.began, to.asked)))
	if m.leave(cpu, true, to, spent) != &to.Entity {
		m.s.Bill(&a.Entity, &to.Entity, spent)
		m.mark(m.s.WakeHere(&to.Entity, cpu, m.now))
	}
}

// act lets a do what follows after it has computed.
func (m *arena) act(cpu int, a *actor) {
	switch d := a.plan[a.at]; d.what {
	case compute:
		a.begin()
		m.cpus[cpu].lose(m.now)
		return
	case spin:
		a.at = (a.at + 1) % len(a.plan)
		a.begin()
		m.yield(cpu, a)
		return
	case access:
		a.asked = m.now
		m.queue = append(m.queue, a)
		if m.server.state == blocked {
			m.waits(m.server)
			m.mark(m.s.WakeHere(&m.server.Entity, cpu, m.now))
		}
	case sleep:
		a.wakeAt, a.where = max(m.now+d.time, a.woke+200), cpu
		a.at = (a.at + 1) % len(a.plan)
		a.begin()
	}
	m.leave(cpu, false, nil, 0)
}

// yield is Runner.yield.
func (m *arena) yield(cpu int, a *actor) {
	c := &m.cpus[cpu]
	if e, until, kick, ok := m.s.Yield(cpu, m.now); ok {
		m.waits(a)
		m.mark(kick)
		m.start(cpu, e, until)
		return
	}
	c.lose(m.now)
}

// expire wakes those whose timers are due, on the CPUs where they fell asleep.
func (m *arena) expire() {
	for _, a := range m.actors {
		if a.wakeAt > m.now {
			continue
		}
		a.wakeAt, a.woke = Forever, m.now
		m.waits(a)
		c := &m.cpus[a.where]
		if c.cur != nil {
			m.settle(c)
			c.lose(m.now)
		}
		m.mark(m.s.Wake(&a.Entity, m.now))
		m.s.Interrupted(a.where, &a.Entity, 1)
	}
}

// next returns when something happens.
func (m *arena) next() uint64 {
	at := (m.now/m.step + 1) * m.step
	for n := range m.cpus {
		c := &m.cpus[n]
		at = min(at, max(c.until, m.now))
		if c.cur != nil {
			at = min(at, c.from+min(c.cur.left, always))
		}
	}
	for _, a := range m.actors {
		at = min(at, max(a.wakeAt, m.now))
	}
	return at
}

// play runs until end, a multiple of step.
func (m *arena) play(end uint64) {
	for m.now < end {
		m.expire()
		for n := range m.cpus {
			if c := &m.cpus[n]; c.kick || c.until <= m.now || c.cur != nil && c.from+min(c.cur.left, always) <= m.now {
				m.look(n)
			}
		}
		again := false
		for n := range m.cpus {
			again = again || m.cpus[n].kick
		}
		if again {
			continue
		}
		m.conserve()
		m.bounded()
		if m.now = m.next(); m.now%m.step == 0 {
			m.note()
		}
	}
}

// conserve asserts that no CPU is idle while somebody waits for another one.
func (m *arena) conserve() {
	for n := range m.cpus {
		for _, a := range m.actors {
			if m.cpus[n].cur == nil && a.state == waiting && a.hard.Has(n) {
				m.t.Fatalf("%v: at %d us CPU %d is idle, and somebody waits", m.who, m.now, n)
			}
		}
	}
}

// bounded asserts on one CPU that nobody who is runnable is further from one that
// only computes than the rules allow.
func (m *arena) bounded() {
	if len(m.cpus) > 1 {
		return
	}
	for _, v := range m.actors {
		if len(v.plan) > 0 {
			continue
		}
		for _, a := range m.actors {
			lead := int64(a.v - v.v)
			if a == m.server || a.state != waiting && a.state != running {
				continue
			}
			if lead > int64(m.ahead()) || -lead > int64(m.behind()) {
				m.t.Fatalf("%v: at %d us one is ahead of a victim by %d us, want %d to %d",
					m.who, m.now, lead, -int64(m.behind()), m.ahead())
			}
		}
	}
}

// What one entity can be ahead of another of its weight, and behind one that
// computes. These follow from the rules of the scheduler, for one CPU; they are not
// what searches found.
//
// Ahead: who runs was the first in the queue, so behind all others, and runs for a
// slice (Stay prolongs that only while it is behind). Or the CPU was handed to it,
// while it was ahead by at most s.least, for another s.least, which is less. On top
// come a bill, since one access is open at a time, and what it pays for its timer
// and the preemption when it wakes up.
//
// Behind: who computes started as the first in the queue, which q.min then reached,
// and ran for a slice; or another gave it the CPU in a spin, was not further behind
// after that than s.bonus, and q.min reached that one; then it ran for s.least. Who
// joins the queue is behind q.min by s.bonus at most (limit). Then it may be given
// its turn back by the others that interrupt it, of whom there are four at most: none
// interrupts it twice, at 5000 times a second, without its having run for longer.
func (m *arena) ahead() uint64  { return m.s.slice.Load() + m.s.most + 2*m.s.toll + 1 }
func (m *arena) behind() uint64 { return m.s.bonus + m.s.least + m.s.bonus + 4*(2*m.s.toll+1) }

// note adds to the records.
func (m *arena) note() {
	for n := range m.cpus {
		m.settle(&m.cpus[n])
		m.s.Charge(n, m.now)
	}
	m.record = append(m.record, m.unpaid())
	for _, a := range m.actors {
		a.record = append(a.record, mark{a.served, a.v})
		if a.state == waiting {
			m.waited(a)
		}
	}
}

// least returns the smallest share of a CPU that a had in any window from start
// on; window and start are multiples of step.
func (m *arena) least(a *actor, start, window uint64) float64 {
	worst := 1.0
	for i, n := int(start/m.step), int(window/m.step); i+n < len(a.record); i++ {
		worst = min(worst, float64(a.record[i+n].served-a.record[i].served)/float64(window))
	}
	return worst
}
