// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pcpu

import (
	"math/rand/v2"
	"testing"
)

func TestTimers(t *testing.T) {
	var l Timers
	if l.Next() != Never {
		t.Fatal("an empty list has a deadline")
	}
	var got []int
	var ts [4]Timer
	for i := range ts {
		ts[i].Expired = func(uint64) { got = append(got, i) }
		l.Add(&ts[i], uint64(100*(i+1)))
	}
	l.Remove(&ts[1])
	l.Remove(&ts[1])
	if l.Next() != 100 {
		t.Errorf("next %d, want 100", l.Next())
	}
	l.Expire(99)
	l.Expire(350)
	if len(got) != 2 || got[0]+got[1] != 2 || l.Next() != 400 {
		t.Errorf("expired %v, next %d; want 0 and 2, 400", got, l.Next())
	}
	l.Add(&ts[1], Never)
	l.Remove(&ts[3])
	if l.Next() != Never || l.head != nil {
		t.Error("the list is not empty at the end")
	}
}

// Random use agrees with a map.
func TestTimersModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var l Timers
	var ts [20]Timer
	model := map[int]uint64{}
	now := uint64(0)
	for i := range ts {
		ts[i].Expired = func(n uint64) {
			if model[i] > n || model[i] == 0 {
				t.Fatalf("timer %d expired at %d, due %d", i, n, model[i])
			}
			delete(model, i)
		}
	}
	for range 20000 {
		i := r.IntN(len(ts))
		switch _, on := model[i]; {
		case r.IntN(4) == 0:
			now += r.Uint64N(50)
			l.Expire(now)
		case on:
			l.Remove(&ts[i])
			delete(model, i)
		default:
			model[i] = now + 1 + r.Uint64N(200)
			l.Add(&ts[i], model[i])
		}
		want := uint64(Never)
		for _, at := range model {
			want = min(want, at)
		}
		if l.Next() != want {
			t.Fatalf("next %d, want %d", l.Next(), want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { l.Remove(&ts[0]); l.Add(&ts[0], now+5); l.Expire(now) }); n != 0 {
		t.Errorf("timers allocate %v times", n)
	}
}
