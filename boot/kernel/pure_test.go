// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"bytes"
	"encoding/hex"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/arch/x86/x86asm"

	"ringo/boot/cmdline"
	"ringo/hv/abi"
)

func TestScale(t *testing.T) {
	for _, c := range []struct{ v, a, b, want uint64 }{
		{1000, 1, 2, 500},
		{1 << 60, 1, 1, 1 << 60},
		{3_000_000_000, 1_000_000_000, 3_000_000_000, 1_000_000_000},
		{^uint64(0), 4, 1, ^uint64(0)},
		{0, 7, 3, 0},
	} {
		got := scale(c.v, ratio(c.a, c.b))
		if d := int64(got - c.want); d < -1 || d > 1 {
			t.Errorf("%d*%d/%d = %d, want %d", c.v, c.a, c.b, got, c.want)
		}
	}
}

// A year of nanoseconds at a common rate must not drift by more than a few
// parts in a thousand million.
func TestClockPrecision(t *testing.T) {
	const hz = 2_893_456_789
	year := uint64(365 * 86400)
	got := scale(year*hz, ratio(1_000_000_000, hz))
	want := year * 1_000_000_000
	if d := int64(got) - int64(want); d < -int64(want/1e9) || d > int64(want/1e9) {
		t.Errorf("off by %d ns in a year", d)
	}
}

func TestTimerCount(t *testing.T) {
	half := ratio(1, 2)
	for _, c := range []struct {
		now, at uint64
		want    uint32
	}{
		{100, 100, 1}, {100, 50, 1}, {100, 102, 2}, {100, 300, 101}, {0, 1 << 40, 0xffff_ffff},
	} {
		if got := timerCount(c.now, c.at, half); got != c.want {
			t.Errorf("timerCount(%d, %d) = %d, want %d", c.now, c.at, got, c.want)
		}
	}
}

func TestTickAt(t *testing.T) {
	const most, least = 2 * tickNS, 2 * tickLeastNS // at two per nanosecond
	for _, c := range []struct{ now, at, want uint64 }{
		{7, 0, 7 + most}, {7, 8 + most, 7 + most}, {7, ^uint64(0), 7 + most}, {7, 7 + most/2, 7 + most/2},
		{7, 8, 7 + least}, {7, 7, 7 + least}, {7, 3, 7 + least},
	} {
		if got := tickAt(c.now, c.at, 2<<32); got != c.want {
			t.Errorf("tickAt(%d, %d) = %d, want %d", c.now, c.at, got, c.want)
		}
	}
}

func TestCredible(t *testing.T) {
	if hz := tscFromCrystal(2, 216, 24_000_000); hz != 2_592_000_000 {
		t.Errorf("crystal: %d", hz)
	}
	for _, c := range [][3]uint32{{0, 1, 1}, {1, 0, 1}, {2, 216, 0}, {1, 1, 1000}} {
		if hz := credible(tscFromCrystal(c[0], c[1], c[2])); hz != 0 {
			t.Errorf("%v: %d", c, hz)
		}
	}
}

func TestSecondOpinion(t *testing.T) {
	const M = 1_000_000
	for _, c := range []struct {
		first, second, want uint64
	}{
		{0, 0, 0}, {0, 50 * M, 0}, {50 * M, 0, 0}, {0, 3, 0},
		{0, 1000 * M, 1000 * M},      // no PIT
		{50 * M, 50*M + 9, 50 * M},   // Bochs: both say so
		{50 * M, 51 * M, 0},          // no agreement
		{50 * M, 3000 * M, 3000 * M}, // the first one was slow
		{0, 100 * M, 100 * M},        // bounds
		{0, 20_000 * M, 20_000 * M},  //
		{0, 20_001 * M, 0},           //
		{5 * M, 5 * M, 0},            // not even together
		{30_000 * M, 30_000 * M, 0},  //
	} {
		if got := secondOpinion(c.first, c.second); got != c.want {
			t.Errorf("%d and %d: %d, want %d", c.first, c.second, got, c.want)
		}
	}
}

// TestSharing runs the accounting of a CPU whose runner and ordinary threads
// are both always busy: each gets half, in pieces of at most a slice.
func TestSharing(t *testing.T) {
	const limit, ordinary = 1000, 2000
	var debt, protect uint64
	var time [2]uint64
	for range 1000 {
		runner, slice := pick(debt, protect, limit, ordinary)
		if slice == 0 || slice > limit {
			t.Fatalf("slice %d with debt %d", slice, debt)
		}
		class := uint32(clsOrdinary)
		protect = 0
		if runner {
			class, protect = clsRunner, 1
		}
		time[class] += slice
		debt = charge(debt, slice, limit, class, true)
	}
	if d := int64(time[0] - time[1]); d > limit || d < -limit {
		t.Errorf("ordinary %d, runner %d", time[0], time[1])
	}
	// An ordinary thread that sleeps most of the time always comes first.
	debt = charge(0, 10, limit, clsOrdinary, true)
	debt = charge(debt, 100, limit, clsRunner, true)
	if runner, _ := pick(debt, 0, limit, ordinary); runner {
		t.Error("an idle ordinary thread does not preempt the runner")
	}
	// And time without a waiting runner costs nothing.
	if d := charge(5, 100, limit, clsOrdinary, false); d != 5 {
		t.Errorf("debt %d", d)
	}
}

func TestList(t *testing.T) {
	var ts [5]thread
	for i := range ts {
		ts[i].tid = uint32(i)
	}
	var l list
	order := func() (s string) {
		back := ""
		for a := l.head; a != 0; a = thr(a).next {
			s += string(rune('0' + thr(a).tid))
		}
		for a := l.tail; a != 0; a = thr(a).prev {
			back = string(rune('0'+thr(a).tid)) + back
		}
		if s != back {
			t.Errorf("forwards %q, backwards %q", s, back)
		}
		return s
	}
	for i := range 4 {
		l.push(&ts[i])
	}
	l.pushFront(&ts[4])
	l.remove(&ts[1])
	if got := order(); got != "4023" {
		t.Errorf("order %q", got)
	}
	l.remove(&ts[3])
	if got := l.pop().tid; got != 4 {
		t.Errorf("first is %d", got)
	}
	if got := order(); got != "02" {
		t.Errorf("order %q", got)
	}
	l.pop()
	l.pop()
	if l.pop() != nil || l.tail != 0 {
		t.Error("not empty")
	}
}

func TestTimerList(t *testing.T) {
	c := new(cpu)
	cpus[3] = addr(unsafe.Pointer(c))
	defer func() { cpus[3] = 0 }()
	c.id = 3
	var ts [4]thread
	for i, d := range []uint64{30, 10, 20, 10} {
		ts[i].tid = uint32(i)
		timerAdd(c, &ts[i], d)
	}
	timerDel(&ts[2])
	s := ""
	for a := c.timers; a != 0; a = thr(a).tnext {
		s += string(rune('0' + thr(a).tid))
	}
	if s != "130" {
		t.Errorf("order %q, want 130", s)
	}
	for _, e := range []struct{ slice, arm, want uint64 }{{0, 0, 10}, {5, 0, 5}, {15, 7, 7}, {15, 30, 10}} {
		c.sliceEnd, c.armAt = e.slice, e.arm
		if got := nextEvent(c); got != e.want {
			t.Errorf("next event %d, want %d", got, e.want)
		}
	}
}

// A timer that is set for too early a time is moved back on the bare machine, in a
// partition where it would wake a CPU that sleeps, and never one that ticks.
func TestTimerMovesBack(t *testing.T) {
	idle, busy := &thread{class: clsIdle}, &thread{class: clsRunner}
	defer func() { startInfo, ticking = nil, false }()
	for _, e := range []struct {
		info *abi.StartInfo
		tick bool
		cur  *thread
		want bool
	}{
		{nil, false, busy, false}, {nil, false, idle, false}, {nil, true, busy, true}, {nil, true, idle, true},
		{new(abi.StartInfo), false, busy, true}, {new(abi.StartInfo), false, idle, false},
	} {
		startInfo, ticking = e.info, e.tick
		c := new(cpu)
		c.cur = addr(unsafe.Pointer(e.cur))
		if got := stays(c); got != e.want {
			t.Errorf("partition %v, ticking %v, class %d: stays %v", e.info != nil, e.tick, e.cur.class, got)
		}
		runtime.KeepAlive(e.cur)
	}
}

// The runtime's monitor alone sleeps for longer than it asks, by what its source says
// is its longest sleep.
func TestSleepFor(t *testing.T) {
	for ns, want := range map[uint64]uint64{0: 0, 20_000: 20_000, 9_999_999: 9_999_999, 10_000_000: 40_000_000, 10_000_001: 10_000_001} {
		if got := sleepFor(ns); got != want {
			t.Errorf("%d ns: %d, want %d", ns, got, want)
		}
	}
	if !regexp.MustCompile(`if delay > 10\*1000 \{[^\n]*\n\s*delay = 10 \* 1000\n`).MatchString(goSource(t, "proc.go")) {
		t.Error("the runtime's monitor no longer sleeps for at most 10 ms")
	}
}

// A deadline is left to a timer that is set for no later a time, and to no other.
func TestArmLate(t *testing.T) {
	c := new(cpu)
	for _, e := range []struct {
		armed, deadline uint64
		ok              bool
	}{{10, 20, true}, {10, 10, true}, {10, 9, false}, {0, 20, false}} {
		c.armed, c.armAt = e.armed, 15
		if ok := armLate(c, e.deadline); ok != e.ok || c.armAt != e.deadline {
			t.Errorf("%+v: %v, %d", e, ok, c.armAt)
		}
	}
}

func TestRing(t *testing.T) {
	r := new(ring)
	put := func(s string) { r.append(addr(unsafe.Pointer(unsafe.StringData(s))), uint64(len(s))) }
	put("hello ")
	put("world")
	b := make([]byte, 32)
	if n, first := r.read(b, 6); string(b[:n]) != "world" || first != 6 {
		t.Errorf("%q from %d", b[:n], first)
	}
	if n, first := r.read(b, 99); n != 0 || first != 11 {
		t.Errorf("beyond the end: %d bytes from %d", n, first)
	}
	put(strings.Repeat("x", LogSize-5))
	put("end")
	n, first := r.read(b, 0)
	if want := uint64(11 + LogSize - 5 + 3 - LogSize); first != want || n != len(b) {
		t.Errorf("%d bytes from %d, want from %d", n, first, want)
	}
	if string(b[:3]) != "ld"+"x" {
		t.Errorf("oldest bytes %q", b[:3])
	}
	n, _ = r.read(b, r.next-4)
	if string(b[:n]) != "xend" {
		t.Errorf("newest bytes %q", b[:n])
	}
}

// RFC 8439, section 2.3.2, test vector.
func TestChaCha(t *testing.T) {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	le := func(b []byte) uint32 {
		return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
	}
	s := &rng.state
	s[0], s[1], s[2], s[3] = 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574
	for i := range 8 {
		s[4+i] = le(key[4*i:])
	}
	s[12], s[13], s[14], s[15] = 1, 0x09000000, 0x4a000000, 0
	chacha()
	var out []byte
	for _, w := range rng.out {
		out = append(out, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	want, _ := hex.DecodeString("10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e" +
		"d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e")
	if !bytes.Equal(out, want) {
		t.Errorf("got  %x\nwant %x", out, want)
	}
}

// Every request must erase the key that made it.
func TestRandomMovesOn(t *testing.T) {
	k := rng.key
	rngStir(1)
	if k == rng.key {
		t.Error("the key did not change")
	}
	k = rng.key
	rngStir(1)
	if k == rng.key {
		t.Error("the key did not change")
	}
}

func TestRTC(t *testing.T) {
	for _, c := range []struct {
		v      [6]uint32
		format uint32
		want   string
	}{
		{[6]uint32{0x59, 0x30, 0x23, 0x31, 0x12, 0x24}, 2, "2024-12-31T23:30:59Z"},
		{[6]uint32{5, 4, 3, 29, 2, 28}, 6, "2028-02-29T03:04:05Z"},
		{[6]uint32{0, 0, 0x92, 1, 3, 0x26}, 0, "2026-03-01T12:00:00Z"},
		{[6]uint32{0, 0, 0x12, 1, 1, 0x26}, 0, "2026-01-01T00:00:00Z"},
		{[6]uint32{0, 0, 0x81, 1, 1, 0x70}, 0, "2070-01-01T13:00:00Z"},
	} {
		v := c.v
		got := time.Unix(int64(rtcConvert(&v, c.format)), 0).UTC().Format(time.RFC3339)
		if got != c.want {
			t.Errorf("%x: %s, want %s", c.v, got, c.want)
		}
	}
	if v := (rtcConvert(&[6]uint32{0, 0, 0, 0, 0, 0}, 6)); v != 0 {
		t.Errorf("a dead clock gives %d", v)
	}
}

func newWords(s string) *words {
	w := new(words)
	s += "\x00garbage"
	w.copy(addr(unsafe.Pointer(unsafe.StringData(s))), uint64(len(s)))
	return w
}

func TestWords(t *testing.T) {
	w := newWords("loglvl=info noreboot pool=24 x=noreboot2")
	for key, want := range map[string]bool{"noreboot": true, "reboot": false, "pool=": true, "noreboot2": false, "loglvl": true} {
		if w.has(key) != want {
			t.Errorf("has(%q) = %v", key, !want)
		}
	}
	if v, ok := w.number("pool=", 4); v != 24 || !ok {
		t.Errorf("pool= is %d %v", v, ok)
	}
	if _, ok := w.number("mem=", 0); ok {
		t.Error("mem= is there")
	}
}

// The options that are read here too mean the same as to boot/cmdline.
func TestOneGrammar(t *testing.T) {
	lines := []string{"", "pool=64", "pool=64M", "pool=3", "pool=4", "pool=", "pool", "pool=65535", "pool=65536", "pool=99999999999999999999",
		"pool=32 pool=64", "pool=32 pool=x", "xpool=9", "pool=32 pool=3", "pool=+5", "pool=0x20", "  pool=9  "}
	for _, v := range []string{"", "=", "=on", "=off", "=yes", "=no", "=true", "=false", "=1", "=0", "=maybe", "=yesno", "=on,off", "s"} {
		for _, prefix := range []string{"", "no-", "no_", "No-"} {
			for _, before := range []string{"", "noreboot ", "no-noreboot ", "pool=9 noreboot=yes "} {
				lines = append(lines, before+prefix+"noreboot"+v, before+prefix+"noreboot"+v+" loglvl=info")
			}
		}
	}
	for _, l := range lines {
		o, _ := cmdline.Parse(l)
		w := newWords(l)
		if got := w.toggle("noreboot"); got != o.NoReboot {
			t.Errorf("%q: noreboot is %v here, %v to boot/cmdline", l, got, o.NoReboot)
		}
		if got, _ := w.number("pool=", 4); got != uint64(o.Pool) {
			t.Errorf("%q: pool is %d here, %d to boot/cmdline", l, got, o.Pool)
		}
	}
}

func TestSignals(t *testing.T) {
	for v := range uint64(32) {
		if sig, code := signalOf(v, 1); sig != 0 && code == 0 {
			t.Errorf("exception %d: si_code 0 would look like kill(2)", v)
		}
	}
}

// TestTrampoline disassembles the real-mode code and checks where it goes on.
func TestTrampoline(t *testing.T) {
	mode, at := 16, 0
	for mode == 16 {
		in, err := x86asm.Decode(trampoline[at:], mode)
		if err != nil {
			t.Fatalf("at %#x: %v", at, err)
		}
		t.Logf("%02x  %v", at, in)
		at += in.Len
		if in.Op == x86asm.LJMP {
			if in.Args[0] != x86asm.Imm(8) || in.Args[1] != x86asm.Imm(at) || at != tr64 || in.Len != at-trJump+2 {
				t.Errorf("far jump to %v:%v, the 64-bit code is at %#x", in.Args[0], in.Args[1], at)
			}
			mode = 64
		}
	}
	for _, want := range []string{"mov rdi, qword ptr [rip+0x40]", "jmp qword ptr [rip+0x42]"} {
		in, err := x86asm.Decode(trampoline[at:], 64)
		if err != nil {
			t.Fatalf("at %#x: %v", at, err)
		}
		if got := x86asm.IntelSyntax(in, 0, nil); got != want {
			t.Errorf("at %#x: %s, want %s", at, got, want)
		}
		at += in.Len
	}
	if at > trGDTR {
		t.Errorf("the code ends at %#x, over the data", at)
	}
}

// The functions of the package must be harmless in an ordinary process.
func TestHosted(t *testing.T) {
	if Booted() || NumCPU() != 0 || CPU() != 0 || Boot() != nil || StartInfo() != nil || WaitIRQ(0x30, 1) != 0 {
		t.Error("not a hosted process?")
	}
	Wait(1)
	Kick(0)
	Arm(1)
	SendIPI(0, 0x30)
	if StartCPU(1) == nil || Runner(0) == nil || KickWord(0) != nil {
		t.Error("no error")
	}
	if _, err := OpenIRQ(0x30); err == nil {
		t.Error("no error")
	}
}

func TestVectors(t *testing.T) {
	seen := map[uint8]bool{}
	for {
		v := AllocVector()
		if v == 0 {
			break
		}
		if seen[v] || v < vecFirst || v >= vecLast {
			t.Fatalf("vector %#x", v)
		}
		seen[v] = true
	}
	for v := range seen {
		FreeVector(v)
	}
	if v := AllocVector(); v != vecFirst {
		t.Errorf("after freeing all: %#x", v)
	}
	FreeVector(vecFirst)
}

func TestMemLimit(t *testing.T) {
	old := frames
	defer func() { frames = old }()
	frames = pool{start: 1 << 20, end: 13 << 20}
	if got := cString(memLimit()); got != "GOMEMLIMIT=11010048" {
		t.Error(got)
	}
}
