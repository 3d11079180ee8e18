// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSeeds plays a thousand machines of one to three CPUs with up to eight vCPUs
// for each: some compute for ever, with caps and without, others sleep. One of them
// again: go test -run TestSeeds/123.
func TestSeeds(t *testing.T) {
	for seed := range uint64(1000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { newCrowd(t, seed).play() })
	}
}

// crowd is a machine of TestSeeds.
type crowd struct {
	*sim
	of [hog + 1][]*job
}

type kind int

const (
	light  kind = iota // serves somebody who waits for it
	busy               // computes and sleeps
	capped             // computes for ever, with a cap
	hog                // computes for ever
)

const (
	warm   = sec
	played = 10 * sec
)

func newCrowd(t *testing.T, seed uint64) *crowd {
	r := rand.New(rand.NewPCG(seed, 7))
	cpus := 1
	if r.IntN(4) == 0 {
		cpus = 2 + r.IntN(2)
	}
	m := &crowd{sim: newSim(t, Config{CPUs: cpus})}
	mixed := r.IntN(2) == 0
	for i := range 2 + r.IntN(8*cpus-1) {
		weight := uint32(128) << r.IntN(4)
		run, sleep := uint64(always), uint64(0)
		k := kind(r.IntN(int(hog) + 1))
		if !mixed && k != light {
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

func (m *crowd) play() {
	m.sim.play(warm)
	before := m.had()
	for m.now < warm+played {
		m.sim.play(min(m.now+4321, warm+played))
		m.conserved()
	}
	had := m.had()
	for j := range had {
		had[j] -= before[j]
	}
	m.shares(had)
	m.caps(had)
	m.latency()
	for _, j := range m.jobs {
		// A tick for each competitor, whose weight may be eight times its own.
		if limit := uint64(len(m.jobs)) * 8 * tick; had[j] == 0 || j.worst > limit && j.cap == 0 {
			m.t.Errorf("%c, weight %d, had %d us, and waited for %d us", j.name, j.weight, had[j], j.worst)
		}
	}
}

// had is the time that everybody has had so far.
func (m *crowd) had() map[*job]uint64 {
	m.settle()
	all := map[*job]uint64{}
	for _, j := range m.jobs {
		all[j] = j.served
	}
	return all
}

// conserved asserts that no CPU is idle while somebody waits.
func (m *crowd) conserved() {
	for n := range m.cpus {
		for o := range m.s.queues {
			if m.cpus[n].cur == nil && m.s.queues[o].waiting.head != nil {
				m.t.Fatalf("%d us: CPU %d is idle, somebody waits for %d", m.now, n, o)
			}
		}
	}
}

// part is in hundredths of what was played.
const part = played / 100

// shares asserts on one CPU that those who would compute for ever have shares of it
// by their weights, to one part in a hundred of the CPU.
func (m *crowd) shares(had map[*job]uint64) {
	if len(m.cpus) > 1 {
		return // see TestShares
	}
	var time, weight uint64
	for _, j := range m.of[hog] {
		time += had[j]
		weight += uint64(j.weight)
	}
	for _, j := range m.of[hog] {
		if want := time * uint64(j.weight) / weight; had[j]+part < want || had[j] > want+part {
			m.t.Errorf("%c had %d us, want %d", j.name, had[j], want)
		}
	}
}

// caps asserts that nobody has more than its cap, to one part in a hundred of the
// CPU; and on one CPU that it has no less, if it could have a quarter more. (Where
// the cap is about what its weight gives, it may have less: what it cannot use in a
// period is lost.)
func (m *crowd) caps(had map[*job]uint64) {
	for _, j := range m.of[capped] {
		most := played * uint64(j.cap) / CapCPU
		if had[j] > most+part {
			m.t.Errorf("%c had %d us, its cap is %d", j.name, had[j], most)
		}
		if len(m.cpus) > 1 || len(m.of[hog]) == 0 {
			continue
		}
		h := m.of[hog][0]
		if could := had[h] * uint64(j.weight) / uint64(h.weight); could >= most*5/4 && had[j]+part < most {
			m.t.Errorf("%c had %d us, its cap is %d, and its weight would give %d", j.name, had[j], most, could)
		}
	}
}

// latency asserts that who needs little, beside others that compute for ever, runs
// within 2 ms of its awakening, 99 times of a hundred. (Who has slept for longer, or
// waited for the next period of its cap, may go before it, for a slice.)
func (m *crowd) latency() {
	var late []uint64
	for _, j := range m.of[light] {
		late = append(late, j.late...)
	}
	if len(late) == 0 || len(m.of[busy])+len(m.of[capped]) > 0 {
		return
	}
	slices.Sort(late)
	if p99 := late[len(late)*99/100]; p99 > 2*ms {
		m.t.Errorf("one time of a hundred who wakes up waits %d us or longer", p99)
	}
}
