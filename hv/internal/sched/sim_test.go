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
	wakeAt     uint64
	since      uint64 // waiting since
	worst      uint64 // longest wait
	woke       bool   // and has not run since
	late       []uint64
	served     uint64
	moves      int
	last       int
}

// sim runs jobs on simulated CPUs whose runners and kicks take no time.
type sim struct {
	t    testing.TB
	s    *Scheduler
	now  uint64
	cpus []simCPU
	jobs []*job
	// line is what ran on each CPU, one letter per millisecond.
	line []strings.Builder
}

type simCPU struct {
	cur          *job
	start, until uint64
	picks        int
}

func newSim(t testing.TB, c Config) *sim {
	c.Tick = tick
	return &sim{t: t, s: New(c), cpus: make([]simCPU, c.CPUs), line: make([]strings.Builder, c.CPUs)}
}

// add makes a job that wakes at time at.
func (m *sim) add(name byte, weight uint32, run, sleep, at uint64, cpus ...int) *job {
	j := &job{name: name, run: run, sleep: sleep, left: run, wakeAt: at, last: -1}
	j.Owner = j
	if err := m.s.Add(&j.Entity, Set(cpus...), m.now); err != nil {
		m.t.Fatal(err)
	}
	if err := m.s.SetWeight(&j.Entity, weight); err != nil {
		m.t.Fatal(err)
	}
	m.jobs = append(m.jobs, j)
	return j
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
	var until uint64
	if j := c.cur; j != nil {
		ran := m.now - c.start
		j.left -= ran
		j.served += ran
		runnable := j.left > 0
		if !runnable {
			j.left = j.run
			if runnable = j.sleep == 0; !runnable {
				j.wakeAt = m.now + j.sleep
			}
		}
		if runnable {
			j.since = m.now
		}
		var kick int
		e, until, kick = m.s.Switch(cpu, m.now, runnable, nil, 0)
		defer m.kick(kick)
		c.cur = nil
	} else {
		var kick int
		e, until, kick = m.s.Pick(cpu, m.now)
		defer m.kick(kick)
	}
	c.picks++
	c.until = until
	if e == nil {
		return
	}
	if until <= m.now {
		m.t.Fatalf("%d: CPU %d: until %d", m.now, cpu, until)
	}
	j := e.Owner.(*job)
	if !e.hard.Has(cpu) {
		m.t.Fatalf("%c runs on CPU %d", j.name, cpu)
	}
	j.worst = max(j.worst, m.now-j.since)
	if j.woke {
		j.late, j.woke = append(j.late, m.now-j.since), false
	}
	if j.last != cpu {
		j.moves++
	}
	j.last = cpu
	c.cur, c.start = j, m.now
}

// play runs until the given time.
func (m *sim) play(end uint64) {
	for {
		next := end
		for n := range m.cpus {
			c := &m.cpus[n]
			next = min(next, c.until)
			if c.cur != nil {
				next = min(next, c.start+c.cur.left)
			} else if c.picks == 0 {
				next = m.now
			}
		}
		for _, j := range m.jobs {
			if j.wakeAt != Forever {
				next = min(next, j.wakeAt)
			}
		}
		m.draw(next)
		m.now = next
		if next == end {
			return
		}
		for _, j := range m.jobs {
			if j.wakeAt <= m.now {
				j.wakeAt, j.since, j.woke = Forever, m.now, j.sleep > 0
				m.kick(m.s.Wake(&j.Entity, m.now))
			}
		}
		for n := range m.cpus {
			c := &m.cpus[n]
			if c.picks == 0 || c.until <= m.now || c.cur != nil && c.start+c.cur.left <= m.now {
				m.resched(n)
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
