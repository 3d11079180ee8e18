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
	s      *Scheduler
	now    uint64
	cpus   []stage
	actors []*actor
	server *actor
	queue  []*actor // who waits for the server, in order
	step   uint64   // of the victims' records
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
	record []uint64 // served at multiples of arena.step
}

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

// begin takes up the next deed, if that is to compute.
func (a *actor) begin() {
	if len(a.plan) > 0 && a.plan[a.at].what == compute {
		a.left = a.plan[a.at].time
		a.at = (a.at + 1) % len(a.plan)
	} else if len(a.plan) > 0 {
		a.left = 0
		if a.plan[a.at].what == spin {
			a.left = filter
		}
	}
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
	a.since = m.now
	var next *Entity
	if to != nil {
		next = &to.Entity
	}
	e, until, kick := m.s.Switch(cpu, m.now, runnable, next, spent)
	m.mark(kick)
	m.start(cpu, e, until)
	return e
}

// start makes e what cpu runs.
func (m *arena) start(cpu int, e *Entity, until uint64) {
	c := &m.cpus[cpu]
	c.cur, c.until, c.began = nil, until, m.now
	if e == nil {
		return
	}
	a := e.Owner.(*actor)
	a.worst = max(a.worst, m.now-a.since)
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
	to.since = m.now
	spent := m.now - min(m.now, max(c.began, to.asked))
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
			m.server.since = m.now
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
		a.since = m.now
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
		a.wakeAt, a.since, a.woke = Forever, m.now, m.now
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
		if m.now = m.next(); m.now%m.step == 0 {
			for n := range m.cpus {
				m.settle(&m.cpus[n])
			}
			for _, a := range m.actors {
				a.record = append(a.record, a.served)
				if a.state == waiting {
					a.worst = max(a.worst, m.now-a.since)
				}
			}
		}
	}
}

// least returns the smallest share of a CPU that a had in any window from start
// on; window and start are multiples of step.
func (m *arena) least(a *actor, start, window uint64) float64 {
	worst := 1.0
	for i, n := int(start/m.step), int(window/m.step); i+n < len(a.record); i++ {
		worst = min(worst, float64(a.record[i+n]-a.record[i])/float64(window))
	}
	return worst
}
