// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

import (
	"fmt"
	"strings"
	"testing"
)

// Times of tests are in microseconds.
const (
	ms   = 1000
	sec  = 1000 * ms
	tick = 10 * ms
)

// job is an entity that runs, then sleeps, again and again.
type job struct {
	Entity
	name       byte
	run, sleep uint64 // sleep 0: never blocks
	left       uint64
	n          int    // in sim.jobs
	since      uint64 // waiting since
	worst      uint64 // longest wait
	woke       bool   // and has not run since
	late       delays
	served     uint64
	moves      int
	last       int
}

// delays are the times from awakenings to runs, counted by tenths of a millisecond.
type delays [200]uint32

func (d *delays) add(t uint64) { d[min(t/100, uint64(len(d)-1))]++ }

// beyond returns of how many there are how many took longer than t.
func (d *delays) beyond(t uint64) (long, all uint64) {
	for n, count := range d {
		if all += uint64(count); uint64(n)*100 >= t {
			long += uint64(count)
		}
	}
	return long, all
}

// sim runs jobs on simulated CPUs whose runners and kicks take no time. It goes from
// event to event: a CPU's timer, the end of a run, an awakening.
type sim struct {
	t    testing.TB
	s    *Scheduler
	now  uint64
	cpus []simCPU
	jobs []*job
	// wakes is when each job wakes up, Forever if it is not asleep; first is not
	// after the first of them.
	wakes []uint64
	first uint64
	// line is what ran on each CPU, one letter per millisecond; nil if nobody looks.
	line []strings.Builder
}

type simCPU struct {
	cur          *job
	start, until uint64
	due          uint64 // the next event: until, or the end of cur's run
	picks        int
}

func newSim(t testing.TB, c Config) *sim {
	c.Tick = tick
	return &sim{t: t, s: New(c), cpus: make([]simCPU, c.CPUs), first: Forever}
}

// add makes a job that wakes at time at.
func (m *sim) add(name byte, weight uint32, run, sleep, at uint64, cpus ...int) *job {
	j := &job{name: name, run: run, sleep: sleep, left: run, n: len(m.jobs), last: -1}
	j.Owner = j
	if err := m.s.Add(&j.Entity, Set(cpus...), m.now); err != nil {
		m.t.Fatal(err)
	}
	if err := m.s.SetWeight(&j.Entity, weight); err != nil {
		m.t.Fatal(err)
	}
	m.jobs = append(m.jobs, j)
	m.wakes = append(m.wakes, Forever)
	m.wakeAt(j, at)
	return j
}

func (m *sim) wakeAt(j *job, at uint64) {
	m.wakes[j.n], m.first = at, min(m.first, at)
}

func (m *sim) kick(cpu int) {
	if cpu != NoCPU {
		m.resched(cpu)
	}
}

// resched is what a runner does when its time is up or it was kicked.
func (m *sim) resched(cpu int) {
	c := &m.cpus[cpu]
	var e *Entity
	var kick int
	if c.cur != nil {
		e, c.until, kick = m.s.Switch(cpu, m.now, m.stop(c), nil, 0)
	} else {
		e, c.until, kick = m.s.Pick(cpu, m.now)
	}
	c.picks++
	c.cur, c.due = nil, c.until
	if e != nil {
		m.start(c, cpu, e)
	}
	m.kick(kick)
}

// stop ends the run of what c runs, and reports whether that is runnable.
func (m *sim) stop(c *simCPU) (runnable bool) {
	j, ran := c.cur, m.now-c.start
	j.left -= ran
	j.served += ran
	runnable = j.left > 0
	if !runnable {
		j.left = j.run
		if runnable = j.sleep == 0; !runnable {
			m.wakeAt(j, m.now+j.sleep)
		}
	}
	if runnable {
		j.since = m.now
	}
	return runnable
}

// start lets c run e.
func (m *sim) start(c *simCPU, cpu int, e *Entity) {
	j := e.Owner.(*job)
	if c.until <= m.now || !e.hard.Has(cpu) {
		m.t.Fatalf("%d us: CPU %d: %c runs until %d, may run on %x", m.now, cpu, j.name, c.until, e.hard)
	}
	j.worst = max(j.worst, m.now-j.since)
	if j.woke {
		j.late.add(m.now - j.since)
		j.woke = false
	}
	if j.last != cpu {
		j.moves++
		j.last = cpu
	}
	c.cur, c.start, c.due = j, m.now, min(c.until, m.now+j.left)
}

// play runs until the given time.
func (m *sim) play(end uint64) {
	for {
		next := min(end, m.first)
		for n := range m.cpus {
			next = min(next, m.cpus[n].due)
		}
		if m.line != nil {
			m.draw(next)
		}
		m.now = max(next, m.now)
		if next >= end {
			return
		}
		if m.first <= m.now {
			m.wake()
		}
		idle := false
		for n := range m.cpus {
			if m.cpus[n].due <= m.now {
				m.resched(n)
			}
			idle = idle || m.cpus[n].cur == nil
		}
		if idle {
			m.conserved()
		}
	}
}

// wake wakes the jobs whose time has come.
func (m *sim) wake() {
	m.first = Forever
	for n, at := range m.wakes {
		if at > m.now {
			m.first = min(m.first, at)
			continue
		}
		m.wakes[n] = Forever
		j := m.jobs[n]
		j.since, j.woke = m.now, j.sleep > 0
		m.kick(m.s.Wake(&j.Entity, m.now))
	}
}

// conserved asserts that no CPU is idle while somebody waits who may run there.
func (m *sim) conserved() {
	for n := range m.cpus {
		for o := range m.s.queues {
			for e := m.s.queues[o].waiting.head; e != nil; e = e.next {
				if m.cpus[n].cur == nil && e.hard.Has(n) {
					m.t.Fatalf("%d us: CPU %d is idle, %c waits for %d", m.now, n, e.Owner.(*job).name, o)
				}
			}
		}
	}
}

func (m *sim) draw(to uint64) {
	for t := (m.now + ms - 1) / ms * ms; t < to && t < 300*ms; t += ms {
		for n := range m.cpus {
			name := byte('.')
			if c := m.cpus[n].cur; c != nil {
				name = c.name
			}
			m.line[n].WriteByte(name)
		}
	}
}

// timeline prints what was drawn, 60 ms to a line.
func (m *sim) timeline() string {
	var b strings.Builder
	for off := 0; off < m.line[0].Len(); off += 60 {
		for n := range m.line {
			s := m.line[n].String()
			fmt.Fprintf(&b, "%3d ms cpu%d %s\n", off, n, s[off:min(off+60, len(s))])
		}
	}
	return b.String()
}

// share checks that j got a share of total within a relative error.
func (m *sim) share(j *job, total uint64, want, tolerance float64) {
	m.t.Helper()
	m.settle()
	got := float64(j.served) / float64(total)
	if got < want*(1-tolerance) || got > want*(1+tolerance) {
		m.t.Errorf("%c got %.4f of a CPU, want %.4f (moves %d)", j.name, got, want, j.moves)
	}
}

// settle accounts for what is running.
func (m *sim) settle() {
	for n := range m.cpus {
		if c := &m.cpus[n]; c.cur != nil {
			c.cur.served += m.now - c.start
			c.cur.left -= m.now - c.start
			c.start = m.now
			m.s.Charge(n, m.now)
			if c.cur.Ran() != c.cur.served {
				m.t.Errorf("%c: charged %d, ran %d", c.cur.name, c.cur.Ran(), c.cur.served)
			}
		}
	}
}
