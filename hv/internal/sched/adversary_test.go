// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// An attack is who is on which CPUs and what adversaries do: victims compute for
// ever. All have the same weight.
//
//	byte 0      CPUs, victims, adversaries: 1 to 2, 1 to 2, 1 to 4
//	8 bytes     of each adversary: four deeds of two bytes, kind and time
type attack []byte

func (a attack) cpus() int    { return 1 + int(a.byte(0))%2 }
func (a attack) victims() int { return 1 + int(a.byte(0))/2%2 }
func (a attack) foes() int    { return 1 + int(a.byte(0))/4%4 }

func (a attack) byte(n int) byte {
	if n < len(a) {
		return a[n]
	}
	return 0
}

// plan is what adversary n does. Times are 5 us to 20 ms; dom0 serves an access in
// 1 to 100 us.
func (a attack) plan(n int) (p []deed) {
	for i := 1 + 8*n; i < 9+8*n; i += 2 {
		kind, t := a.byte(i), a.byte(i+1)
		if what(kind%5) == nothing {
			continue
		}
		d := deed{what(kind % 5), 5 << (t % 12)}
		d.time += d.time * uint64(t/12) / 22
		if d.what == access {
			d.time = 1 + d.time%100
		}
		p = append(p, d)
	}
	return p
}

func (a attack) String() string {
	s := fmt.Sprintf("%d CPUs, %d victims", a.cpus(), a.victims())
	for i := range a.foes() {
		s += fmt.Sprint("; ", a.plan(i))
	}
	return s
}

// result is what the worst victim got: the part of its fair share in any window,
// and the longest time that it waited.
type result struct {
	part float64
	wait uint64
}

// play plays an attack and checks what the scheduler promises. What a victim would
// get if all computed for ever is its fair share: adversaries that use less take
// nothing from that.
func (a attack) play(t testing.TB) result {
	m := newArena(t, a.cpus())
	m.who = a
	var victims []*actor
	for range a.victims() {
		victims = append(victims, m.add(256))
	}
	for i := range a.foes() {
		m.add(256, a.plan(i)...)
	}
	end, window := a.time()
	m.play(end)
	r := result{part: 1}
	for _, v := range victims {
		r.part = min(r.part, m.least(v, 100*ms, window)/a.fair())
		r.wait = max(r.wait, v.worst)
		if a.cpus() == 1 {
			a.check(m, v, window)
		}
	}
	return r
}

// time is how long an attack is played, and the window. Loads are balanced every
// ten ticks, in which one CPU has fewer than the other: several make a window.
func (a attack) time() (end, window uint64) {
	if a.cpus() == 1 {
		return 600 * ms, 200 * ms
	}
	return 1500 * ms, 1000 * ms
}

func (a attack) fair() float64 {
	return min(1, float64(a.cpus())/float64(a.victims()+a.foes()))
}

// check asserts what the scheduler promises to a victim on one CPU.
//
// In a window all n actors together are charged for its length less what the server
// does unpaid. None is charged for more than the victim by what it was behind at the
// window's begin and is ahead at its end. So
//
//	n*victim >= window - unpaid - (n-1)*(behind+ahead)
//
// Of its time the victim loses an overhead when it is entered: that is given back
// by who preempts it or interrupts it, otherwise it has run for s.least at least.
//
// While it waits, each of the others runs from where it was behind to where it is
// ahead, and the server.
func (a attack) check(m *arena, v *actor, window uint64) {
	m.t.Helper()
	others, edge := uint64(a.victims()+a.foes()-1), m.ahead()+m.behind()
	for i, n := 0, int(window/m.step); i+n < len(v.record); i++ {
		from, to := v.record[i], v.record[i+n]
		paid, unpaid := to.v-from.v, m.record[i+n]-m.record[i]
		if (others+1)*paid+unpaid+others*edge < window {
			m.t.Errorf("%d us: a victim was charged for %d us of %d, %d unpaid: %v\n%#v", i*int(m.step), paid, window, unpaid, a, []byte(a))
		}
		if lost := (window/m.s.least + 2) * overhead; to.served-from.served+lost < paid {
			m.t.Errorf("%d us: a victim was charged for %d us, computed %d: %v\n%#v", i*int(m.step), paid, to.served-from.served, a, []byte(a))
		}
	}
	if v.owed > others*edge {
		m.t.Errorf("a victim waited %d us, want at most %d: %v\n%#v", v.owed, others*edge, a, []byte(a))
	}
}

// FuzzAdversary looks for schedules that starve somebody.
func FuzzAdversary(f *testing.F) {
	for _, a := range attacks {
		f.Add([]byte(a))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		attack(b).play(t)
	})
}

// attacks are some that have worked.
var attacks = []attack{
	// Computes 0.3 ms and 3 ms, then makes an access: dom0 hands its CPU over.
	{0, 0, 6, 1, 0}, {0, 0, 9, 1, 0}, {4, 0, 9, 1, 0, 0, 0, 0, 0, 0, 6, 1, 0},
	// Sleeps for as short as it can, and makes accesses.
	{0, 2, 0, 1, 0},
	// Spins, so that others run, and computes.
	{4, 0, 7, 4, 0, 0, 3, 3, 0, 4, 0, 0, 8, 4, 0, 3, 0},
	// Two on two CPUs: sleeps and accesses move them from one to the other.
	{7, 1, 13, 2, 30, 3, 0, 3, 0, 2, 25, 1, 25, 0, 89, 3, 0},
	{5, 0, 232, 0, 39, 0, 7, 2, 53, 1, 26, 0, 190, 2, 7, 3, 0},
}

// TestAdversary climbs from a few attacks to the worst in reach: single changes
// that make it worse are kept. It counts tries, not time, and always makes the same:
// what it asserts of several CPUs, where no rule bounds who moves when, is what this
// search finds, rounded down.
func TestAdversary(t *testing.T) {
	for shape, tries := range map[byte]int{0: 100, 6: 100, 12: 60, 7: 60, 13: 60} {
		r := rand.New(rand.NewPCG(1, uint64(shape)))
		best := make(attack, 1+8*4)
		for i := range best {
			best[i] = byte(r.Uint32())
		}
		best[0] = shape
		low := best.play(t)
		for range tries {
			a := append(attack(nil), best...)
			for range 1 + r.IntN(3) {
				a[1+r.IntN(8*a.foes())] = byte(r.Uint32())
			}
			got := a.play(t)
			if got.part < low.part {
				best, low = a, got
			}
		}
		t.Logf("%.3f of the fair share, %d us: %v", low.part, low.wait, best)
		if n := uint64(best.victims() + best.foes()); low.part < .4 || low.wait > (n+1)*tick {
			t.Errorf("a victim got %.3f of its fair share and waited %d us: %v\n%#v", low.part, low.wait, best, []byte(best))
		}
	}
}

// One that computes and then makes an access which dom0 serves has no more of a CPU
// than one that only computes, however long it computes; and neither waits long.
func TestHandOverIsFair(t *testing.T) {
	for _, burst := range []uint64{2, 10, 100, 1000, 3200, 3330, 10000} {
		m := newArena(t, 1)
		victim := m.add(256)
		foe := m.add(256, deed{compute, burst}, deed{access, 5})
		m.play(10 * sec)
		of := float64(10 * sec)
		v, f, d := float64(victim.served)/of, float64(foe.served)/of, float64(m.server.served)/of
		if v < .47 || v > .53 {
			t.Errorf("burst %d us: victim %.3f, foe %.3f, server %.3f of the CPU", burst, v, f, d)
		}
		if w := max(victim.worst, foe.worst); w > tick {
			t.Errorf("burst %d us: longest wait %d us", burst, w)
		}
	}
}

// One that makes accesses for a long time while dom0 is always runnable is not
// behind by that when another comes that has slept.
func TestHandOverLeavesNoDebt(t *testing.T) {
	m := newArena(t, 1)
	busy := m.add(256, deed{compute, 20}, deed{access, 5})
	late := m.add(256, deed{sleep, 5 * sec}, deed{compute, always})
	m.play(7 * sec)
	if busy.worst > 2*tick || late.worst > 2*tick {
		t.Errorf("longest waits: %d us, %d us", busy.worst, late.worst)
	}
}

// An access of one guest does not wait for the slice of another to which dom0 has
// handed its CPU.
func TestHandOverIsForAMoment(t *testing.T) {
	m := newArena(t, 2)
	foe := m.add(256, deed{compute, 3 * ms}, deed{access, 5})
	foe.hard, m.server.hard = Set(0), Set(0)
	foe.soft, m.server.soft = foe.hard, foe.hard
	other := m.add(256, deed{compute, 2 * ms}, deed{access, 5})
	other.hard = Set(1)
	other.soft = other.hard
	m.play(2 * sec)
	if n, want := other.served, uint64(2*sec)*3/4; n < want {
		t.Errorf("computed %d us, want %d: its accesses waited", n, want)
	}
}
