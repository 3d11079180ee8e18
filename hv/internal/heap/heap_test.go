// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package heap

import (
	"runtime"
	"runtime/metrics"
	"testing"
)

// pauses counts stops of the world for other reasons than collections.
func pauses() (n uint64) {
	s := []metrics.Sample{{Name: "/sched/pauses/total/other:seconds"}}
	metrics.Read(s)
	for _, c := range s[0].Value.Float64Histogram().Counts {
		n += c
	}
	return n
}

var keep []byte

// What it returns is what runtime.ReadMemStats says, without a stop of the world.
func TestMeter(t *testing.T) {
	m := New()
	before := pauses()
	for range 100 {
		m.Read()
	}
	if n := pauses() - before; n != 0 {
		t.Errorf("%d stops of the world", n)
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	if pauses() == before {
		t.Error("stops of the world are not seen")
	}
	const more = 64 << 20
	small, gcs := m.Read()
	keep = make([]byte, more)
	runtime.GC()
	runtime.ReadMemStats(&s)
	big, gcs2 := m.Read()
	if d := int64(big - s.HeapAlloc); d < -1<<20 || d > 1<<20 || big < small+more/2 || gcs2 <= gcs || gcs2 < uint64(s.NumGC) {
		t.Errorf("%d bytes, %d before; ReadMemStats says %d; %d collections, %d before", big, small, s.HeapAlloc, gcs2, gcs)
	}
	keep = nil
	if n := testing.AllocsPerRun(100, func() { m.Read() }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}
