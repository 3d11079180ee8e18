// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var simulated = flag.Duration("simulated", time.Minute, "how long each machine of TestSeeds runs, in its time")

// TestSeeds plays a thousand machines of one to three CPUs with up to eight vCPUs
// for each: some compute for ever, with caps and without, others sleep. What fails
// says how to play that machine again.
func TestSeeds(t *testing.T) {
	windows := max(1, int(simulated.Microseconds()/window))
	for seed := range uint64(1000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			m := newCrowd(t, seed)
			defer func() {
				if t.Failed() {
					t.Logf("again: go test ./hv/internal/sched -count=1 -run 'TestSeeds/^%d$' -args -simulated=%v", seed, time.Duration(windows)*window*time.Microsecond)
				}
			}()
			m.play(windows)
		})
	}
}

// crowd is a machine of TestSeeds.
type crowd struct {
	*sim
	of    [hog + 1][]*job
	mixed bool // not only hogs, and light ones
}

type kind int

const (
	light  kind = iota // serves somebody who waits for it
	busy               // computes and sleeps
	capped             // computes for ever, with a cap
	hog                // computes for ever
)

// What is asserted of shares is so of each window, to a part of a CPU.
const (
	window = 10 * sec
	part   = window / 100
)

func newCrowd(t *testing.T, seed uint64) *crowd {
	r := rand.New(rand.NewPCG(seed, 7))
	cpus := 1
	if r.IntN(4) == 0 {
		cpus = 2 + r.IntN(2)
	}
	m := &crowd{sim: newSim(t, Config{CPUs: cpus})}
	m.mixed = r.IntN(2) == 0
	for i := range 2 + r.IntN(8*cpus-1) {
		weight := uint32(128) << r.IntN(4)
		run, sleep := uint64(always), uint64(0)
		k := kind(r.IntN(int(hog) + 1))
		if !m.mixed && k != light {
			k = hog // no others that have slept or waited for their period
		}
		switch k {
		case light:
			run, sleep = 50+r.Uint64N(250), 5*ms+r.Uint64N(45*ms)
		case busy:
			run, sleep = 500+r.Uint64N(20*ms), 500+r.Uint64N(20*ms)
		}
		j := m.add('a'+byte(i), weight, run, sleep, r.Uint64N(50*ms))
		m.of[k] = append(m.of[k], j)
		if k == capped {
			if _, err := m.s.SetCap(&j.Entity, uint32(100+r.IntN(CapCPU-100)), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

func (m *crowd) play(windows int) {
	// Balances weigh what everybody had in eight seconds.
	m.sim.play(window)
	for _, j := range m.jobs {
		j.late = delays{}
	}
	before, had := make([]uint64, len(m.jobs)), make([]uint64, len(m.jobs))
	m.had(before)
	for range windows {
		m.sim.play(m.now + window)
		m.had(had)
		for n, t := range had {
			before[n], had[n] = t, t-before[n]
		}
		m.check(had)
		if m.t.Failed() {
			return
		}
	}
	m.latency()
	m.waits()
}

// had tells what everybody has had so far.
func (m *crowd) had(all []uint64) {
	m.settle()
	for n, j := range m.jobs {
		all[n] = j.served
	}
}

// level returns what each unit of weight has if those who compute for ever divide
// their time by weight, and none has more than one CPU; false without such.
func (m *crowd) level(had []uint64) (level float64, ok bool) {
	var time, weight float64
	for _, j := range m.of[hog] {
		time += float64(had[j.n])
		weight += float64(j.weight)
	}
	full := map[*job]bool{}
	for more := weight > 0; more; {
		more = false
		for _, j := range m.of[hog] {
			if !full[j] && time/weight*float64(j.weight) > window {
				full[j], more = true, true
				time, weight = time-window, weight-float64(j.weight)
			}
		}
	}
	return time / weight, weight > 0
}

// check asserts what holds in each window: everybody had something, nobody more than
// its cap; and who computes for ever has its share, others have no more than theirs.
// (Not on several CPUs where some compute and sleep, or have caps: see balance.)
func (m *crowd) check(had []uint64) {
	level, ok := m.level(had)
	for k, jobs := range m.of {
		for _, j := range jobs {
			got, most, least := float64(had[j.n]), float64(window), 1.0
			if j.cap != 0 {
				most *= float64(j.cap) / CapCPU
			}
			if ok && (len(m.cpus) == 1 || !m.mixed) {
				most = min(most, level*float64(j.weight))
				if kind(k) >= capped {
					least = most - part
				}
			}
			if got < least || got > most+part {
				m.t.Errorf("%d s: %c, weight %d, cap %d, had %.0f us of %d, want %.0f to %.0f",
					m.now/sec, j.name, j.weight, j.cap, got, window, least, most+part)
			}
		}
	}
}

// latency asserts that those who need little, at most half of what their weights
// give, run within 2 ms of their awakening, 99 times of a hundred.
func (m *crowd) latency() {
	var weights, long, all uint64
	for _, j := range m.jobs {
		weights += uint64(j.weight)
	}
	for _, j := range m.of[light] {
		if gives := uint64(len(m.cpus)) * uint64(j.weight) * (j.run + j.sleep) / weights; j.run <= gives/2 {
			l, a := j.late.beyond(2 * ms)
			long, all = long+l, all+a
		}
	}
	// Fewer say little of one in a hundred: minutes have more.
	if all >= 10000 && long*100 > all {
		m.t.Errorf("%d of %d times who wakes up waits for 2 ms or longer", long, all)
	}
}

// waits asserts that nobody waits for longer than a tick for each of the others, or
// as much more as their weight is higher, and for the next period of its cap. One of
// a high weight that has slept may run for four bonuses and a slice: five thirds.
func (m *crowd) waits() {
	for _, j := range m.jobs {
		limit := uint64(0)
		if j.cap != 0 {
			limit = m.s.period
		}
		for _, o := range m.jobs {
			most := uint64(tick)
			if o.weight > DefaultWeight {
				most = tick * 5 / 3
			}
			limit += most * uint64(max(o.weight, j.weight)) / uint64(j.weight)
		}
		if j.worst > limit {
			m.t.Errorf("%c, weight %d, waited for %d us, want at most %d", j.name, j.weight, j.worst, limit)
		}
	}
}
