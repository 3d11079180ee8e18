// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"errors"
	"sync/atomic"
	"unsafe"

	"ringo/boot/layout"
	"ringo/hv/abi"
	"ringo/mm"
)

const never = ^uint64(0)

// Range is a range of physical addresses.
type Range struct {
	Start mm.HPA
	Size  uint64 // in bytes
}

// Info is what the boot loader handed over.
type Info struct {
	// Magic is EAX and Addr EBX at the entry, for boot/mb.Parse. The
	// information stays intact as long as nobody uses its memory, which lies
	// in Reserved.
	Magic   uint32
	Addr    mm.HPA
	CmdLine string
	// Reserved lists the image, the modules and everything the information
	// refers to.
	Reserved []Range
}

// Boot returns what the multiboot loader handed over, nil when this is not a
// bare machine.
func Boot() *Info {
	if booted == 0 || inPartition() {
		return nil
	}
	i := &Info{Magic: uint32(mbMagic), Addr: mm.HPA(mbInfo), CmdLine: string(cmdLine.buf[:cmdLine.n])}
	for _, s := range taken.s[:taken.n] {
		i.Reserved = append(i.Reserved, Range{mm.HPA(s.start), s.end - s.start})
	}
	return i
}

// StartInfo returns what the hypervisor handed over, nil when this is not a
// partition.
func StartInfo() *abi.StartInfo { return startInfo }

// Booted reports whether this program runs on the layer (and not as a process
// of an operating system).
func Booted() bool { return booted != 0 }

// NumCPU is the number of CPUs that run.
func NumCPU() int {
	if booted == 0 {
		return 0
	}
	n := atomic.LoadUint32(&nCPU)
	if !isOnline(n - 1) {
		n--
	}
	return int(n)
}

// CPU is the index of the CPU that the caller runs on, from 0. It is stale at
// once unless the caller is a runner.
func CPU() int {
	if booted == 0 {
		return 0
	}
	return int(self().id)
}

// APICID returns the local APIC id of a CPU.
func APICID(cpu int) uint32 {
	if booted == 0 || cpu < 0 || cpu >= NumCPU() {
		return 0
	}
	return cpuAt(uint32(cpu)).apic
}

// Runner makes the calling thread, which must be locked to its goroutine
// (runtime.LockOSThread), the background thread of a CPU: bound to it for good,
// running while no ordinary thread wants the CPU, and else alternately in
// slices of a millisecond.
func Runner(cpu int) error {
	if booted == 0 {
		return errors.New("kernel: not booted")
	}
	if int64(enter(sysRunner, uint64(cpu), 0, 0)) < 0 {
		return errors.New("kernel: no such CPU, or it has a runner")
	}
	return nil
}

// Leave makes the calling runner an ordinary thread again, free to run on every
// CPU.
func Leave() {
	if booted != 0 {
		enter(sysLeave, 0, 0, 0)
	}
}

// Wait blocks the calling runner until its CPU is kicked, the TSC reaches
// deadline (0 or all ones: no deadline), or the Go runtime wants the goroutine to stop. It
// does not tell the Go scheduler: the goroutine keeps its P, so the caller must
// soon call a function with a stack check. It may return early.
func Wait(deadline uint64) {
	if booted != 0 {
		if deadline == never {
			deadline = 0
		}
		enter(sysWait, deadline, 0, 0)
	}
}

// Kick makes the runner of a CPU return from Wait, or from a guest by the
// interrupt. If it does neither at the moment, its next Wait returns at once;
// see KickWord.
func Kick(cpu int) {
	if booted == 0 || uint(cpu) >= maxCPU || !isOnline(uint32(cpu)) {
		return
	}
	c := cpuAt(uint32(cpu))
	if atomic.SwapUint32(&c.kick, 1) == 0 {
		sendLocked(c.apic, icrAssert|vecKick)
	}
}

// KickWord is the flag of a CPU that Kick sets and Wait clears. Whoever enters
// a guest checks it with interrupts off, as the last thing, and clears it
// (atomically) when it stayed out or came back.
func KickWord(cpu int) *uint32 {
	if booted == 0 || uint(cpu) >= maxCPU || !isOnline(uint32(cpu)) {
		return nil
	}
	return &cpuAt(uint32(cpu)).kick
}

// Arm makes the timer of the calling runner's CPU interrupt, and kick the
// runner, when the TSC reaches deadline. A call takes the place of the last one,
// except for all ones, which mean never and change nothing; 0 takes it back.
func Arm(deadline uint64) {
	if booted == 0 || deadline == never {
		return
	}
	if deadline == 0 || !armLate(self(), deadline) {
		enter(sysArm, deadline, 0, 0)
	}
}

// armLate is Arm where the timer is set already, for no later a time: its interrupt
// looks again. One that comes before the first step is seen in the second.
func armLate(c *cpu, deadline uint64) bool {
	atomic.StoreUint64(&c.armAt, deadline)
	return atomic.LoadUint64(&c.armed)-1 < deadline // 0 is no time
}

// AllocVector reserves a device interrupt vector for the caller, 0 when there
// is none left. Higher vectors have higher priority.
func AllocVector() uint8 {
	for v := vecFirst; v < int(abi.DeviceVector); v++ {
		w := &vectorsUsed[v/64]
		for old := w.Load(); old>>(v%64)&1 == 0; old = w.Load() {
			if w.CompareAndSwap(old, old|1<<(v%64)) {
				return uint8(v)
			}
		}
	}
	return 0
}

// FreeVector gives a vector back. Its descriptor must be closed, its pin dropped.
func FreeVector(v uint8) {
	atomic.AndUint64(&posted[v/64], ^(1 << (v % 64)))
	w := &vectorsUsed[v/64]
	for old := w.Load(); !w.CompareAndSwap(old, old&^(1<<(v%64))); old = w.Load() {
	}
}

var vectorsUsed [4]atomic.Uint64

// OpenIRQ returns a descriptor for an interrupt vector: os.NewFile makes it a
// file that the runtime's poller knows. A Read of 8 bytes returns the number of
// interrupts since the last one, as a uint64, and blocks only its goroutine.
// The local APIC's end of interrupt is given before the reader runs.
func OpenIRQ(vector uint8) (fd uintptr, err error) {
	if booted == 0 {
		return 0, errors.New("kernel: not booted")
	}
	r := enter(sysOpenIRQ, uint64(vector), 0, 0)
	if int64(r) < 0 {
		return 0, errors.New("kernel: not a device vector, or in use")
	}
	return uintptr(r), nil
}

// WaitIRQ blocks the calling thread, which keeps its P like a runner in Wait,
// until the vector interrupts, and returns how often it did since the last
// call. It returns 0 when the TSC reached deadline (0: none) or the Go runtime
// wants the goroutine to stop.
func WaitIRQ(vector uint8, deadline uint64) uint64 {
	if booted == 0 {
		return 0
	}
	return enter(sysWaitIRQ, uint64(vector), deadline, 0)
}

// Raise is an interrupt of a device vector for its descriptor, or who waits in WaitIRQ,
// without one of a CPU.
func Raise(vector uint8) {
	if booted != 0 {
		enter(sysRaise, uint64(vector), 0, 0)
	}
}

// SendIPI raises a vector on a CPU.
func SendIPI(cpu int, vector uint8) {
	if booted != 0 && uint(cpu) < maxCPU && isOnline(uint32(cpu)) {
		sendLocked(cpuAt(uint32(cpu)).apic, icrAssert|uint32(vector))
	}
}

// SendNMI sends an NMI to a CPU; it is counted there, see Stats.
func SendNMI(cpu int) {
	if booted != 0 && uint(cpu) < maxCPU && isOnline(uint32(cpu)) {
		sendLocked(cpuAt(uint32(cpu)).apic, icrAssert|icrNMI)
	}
}

// Phys returns the virtual address at which physical memory or a device window
// is seen in the direct map.
func Phys(a mm.HPA) uintptr { return uintptr(phys(uint64(a))) }

// VirtToPhys translates an address of the image, of the direct map, or of Go
// memory that is present now. Go memory may move to another frame at any time
// that it is not in use.
func VirtToPhys(p unsafe.Pointer) (mm.HPA, bool) {
	if booted == 0 {
		return 0, false
	}
	pa, ok := virtToPhys(addr(p))
	return mm.HPA(pa), ok
}

// DirectTop is the end of the memory that the direct map covers.
func DirectTop() mm.HPA { return mm.HPA(directTop()) }

// ImageRange is where the image (code, data, BSS) lies.
func ImageRange() Range {
	return Range{mm.HPA(imagePA), (imageEnd() - layout.ImageBase + pageSize - 1) &^ (pageSize - 1)}
}

// PoolRange is the memory from which the Go runtime and the layer live.
func PoolRange() Range { return Range{mm.HPA(frames.start), frames.end - frames.start} }

// Stats are counters since boot, and the use of the pool in frames of 4 KiB.
type Stats struct {
	PoolFrames, FreeFrames  uint64
	Data, Tables, Kernel    uint64 // frames of the Go program, page tables, the layer's own
	Threads, VMAs           uint64
	Syscalls, Faults, IRQs  uint64
	Switches, Signals, NMIs uint64
	Halted                  uint64 // ticks of the TSC during which CPUs were halted
}

// ReadStats returns the counters. They are read one by one, without a lock.
func ReadStats() (s Stats) {
	s.PoolFrames = (frames.end - frames.start) / pageSize
	s.FreeFrames = (frames.end-frames.next)/pageSize + frames.freeCount
	s.Data, s.Tables, s.Kernel = frames.data, frames.tables, frames.kernel
	s.Threads, s.VMAs = threadUsed, space.n
	for i := range atomic.LoadUint32(&nCPU) {
		c := cpuAt(i)
		s.Syscalls += c.nSyscalls
		s.Faults += c.nFaults
		s.IRQs += c.nIRQs
		s.Switches += c.nSwitches
		s.Signals += c.nSignals
		s.Halted += asleep(atomic.LoadUint64(&c.halts), TSC())
	}
	s.NMIs = atomic.LoadUint64(&nNMI)
	return s
}
