// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"errors"
	"math"
	"strconv"
	"sync/atomic"

	"ringo/hv/insn"
	"ringo/hv/x86"
)

// A CPU that starts meets the one that started it before it takes part in anything,
// and their time-stamp counters are compared: time is one for all CPUs, and for the
// vCPUs that move between them.

// meeting is what the two say to each other: one question at a time.
type meeting struct {
	ask    uint64 // atomic; number*4 + what, by the CPU that starts the other
	answer uint64 // atomic; the last question that was answered
	stamp  uint64 // what the counter was between question and answer
	by     uint64 // what it is to be adjusted by
}

const (
	askStamp  = iota // what does your counter say?
	askAdjust        // add by to it
	askGoOn          // that was all
)

const (
	// meetRounds is how often a counter is read at most to measure its gap, which
	// ends after meetNS in any case: an emulator needs that for each round.
	meetRounds = 500
	meetNS     = 5_000_000
	// answerNS is how long a CPU that has come may take for an answer: its host,
	// if it has one, may be busy.
	answerNS = 20_000_000_000
)

// skew is by how much the counters of CPUs that start are wrong, see SkewForTest.
var skew uint64

// SkewForTest makes the time-stamp counters of CPUs that start from now on that many
// ticks fast: really, where they can be adjusted, else only in what they say of them.
func SkewForTest(ticks uint64) { atomic.StoreUint64(&skew, ticks) }

// attend answers until it may go on. It is for the CPU that starts.
//
//go:nosplit
func (m *meeting) attend() {
	wrong := atomic.LoadUint64(&skew)
	if wrong != 0 && adjustable() {
		insn.WRMSR(x86.MSRTSCAdjust, insn.RDMSR(x86.MSRTSCAdjust)+wrong)
		wrong = 0
	}
	for n := uint64(1); ; n++ {
		q := atomic.LoadUint64(&m.ask)
		if q == atomic.LoadUint64(&m.answer) {
			if n%pauseEvery == 0 {
				insn.PAUSE()
			}
			continue
		}
		switch q & 3 {
		case askStamp:
			m.stamp = laterTSC() + wrong
		case askAdjust:
			insn.WRMSR(x86.MSRTSCAdjust, insn.RDMSR(x86.MSRTSCAdjust)+m.by)
		}
		atomic.StoreUint64(&m.answer, q)
		if q&3 == askGoOn {
			return
		}
	}
}

// adjustable reports whether this CPU's counter can be (SDM Vol. 3, "IA32_TSC_ADJUST
// Register and TSC Support").
//
//go:nosplit
func adjustable() bool {
	if n, _, _, _ := insn.CPUID(0, 0); n < 7 {
		return false
	}
	_, b, _, _ := insn.CPUID(7, 0)
	return b>>1&1 != 0
}

// put asks and waits for the answer. The other CPU answered after this one's counter
// was asked, and before it was heard.
func (m *meeting) put(what uint64) (asked, heard uint64, ok bool) {
	q := (atomic.LoadUint64(&m.ask)/4+1)*4 + what
	patience := scale(answerNS, tscPerNS)
	asked = insn.RDTSC() // older than the store, which waits for it to retire
	atomic.StoreUint64(&m.ask, q)
	for n := uint64(1); atomic.LoadUint64(&m.answer) != q; n++ {
		if n%pauseEvery == 0 {
			insn.PAUSE()
			if insn.RDTSC()-asked > patience {
				return 0, 0, false
			}
		}
	}
	return asked, laterTSC(), true
}

func (m *meeting) read() (asked, stamp, heard uint64, ok bool) {
	asked, heard, ok = m.put(askStamp)
	return asked, m.stamp, heard, ok
}

func (m *meeting) adjust(by int64) bool {
	m.by = uint64(by)
	_, _, ok := m.put(askAdjust)
	return ok
}

// counter is the time-stamp counter of another CPU.
type counter interface {
	// read returns what it was at some time after this CPU's was asked and before
	// it was heard. The other CPU may not answer.
	read() (asked, stamp, heard uint64, ok bool)
	// adjust adds by to it.
	adjust(by int64) bool
}

// gap bounds by how many ticks another counter is ahead of this CPU's. Whatever
// delays questions and answers (a busy host, an interrupt, a move of this thread to
// another CPU) makes the bounds wider, not wrong: a gap without 0 is time that goes
// back from one CPU to the other, or between two that they heard of.
type gap struct{ lo, hi int64 }

// narrow takes one answer into account.
func (g *gap) narrow(asked, stamp, heard uint64) {
	g.lo = max(g.lo, int64(stamp-heard))
	g.hi = min(g.hi, int64(stamp-asked))
}

func (g gap) seen() bool    { return g.lo > 0 || g.hi < 0 }
func (g gap) middle() int64 { return g.lo + (g.hi-g.lo)/2 }

var errSilent = errors.New("kernel: the CPU started, and answers no more")

// measure returns the gap to c after at most ticks and one answer more.
func measure(c counter, ticks uint64) (gap, error) {
	g := gap{math.MinInt64, math.MaxInt64}
	began := uint64(0)
	for n := range meetRounds {
		asked, stamp, heard, ok := c.read()
		if !ok {
			return gap{}, errSilent
		}
		g.narrow(asked, stamp, heard)
		if n == 0 {
			began = asked
		}
		if heard-began > ticks {
			break
		}
	}
	return g, nil
}

// settle closes the gap to c if there is one for certain, and returns by how many
// ticks c was adjusted. It fails where that is not possible.
func settle(c counter, canAdjust bool, ticks uint64) (by int64, err error) {
	for try := 0; ; try++ {
		g, err := measure(c, ticks)
		if err != nil || !g.seen() {
			return by, err
		}
		if !canAdjust || try == 3 {
			return by, errors.New("kernel: its time-stamp counter is " + apart(g.middle()) + " the others', and cannot be set right")
		}
		by -= g.middle()
		if !c.adjust(-g.middle()) {
			return by, errSilent
		}
	}
}

func apart(ticks int64) string {
	if ticks < 0 {
		return strconv.FormatUint(-uint64(ticks), 10) + " ticks behind"
	}
	return strconv.FormatUint(uint64(ticks), 10) + " ticks ahead of"
}

// Adjusted is by how many ticks the time-stamp counter of a CPU was set right when it
// was started.
func Adjusted(cpu int) int64 {
	if booted == 0 || cpu < 0 || cpu >= NumCPU() {
		return 0
	}
	return cpuAt(uint32(cpu)).adjusted
}
