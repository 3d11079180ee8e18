// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package kernel is the layer under the unmodified stock Go runtime: it answers
// the Linux system calls that the runtime makes, in ring 0, without an
// operating system. It has two platforms: the bare machine (started by a
// multiboot loader) and a partition of the hypervisor (dom0). A main package
// imports it and is linked with
//
//	go build -trimpath -ldflags "-T 0x101000 -E ringo/boot/kernel.startBare"
//	go build -trimpath -ldflags "-T 0x101000 -E ringo/boot/kernel.startPartition"
//
// and tools/mkimage makes the first one bootable. In an ordinary process the
// package does nothing: [Booted] is false, what returns something returns its
// zero value or an error, and what cannot return panics.
//
// # Entry and exit
//
// SYSCALL is legal in ring 0 and does not switch stacks; the layer's code runs
// with interrupts off from entry to exit, on the CPU's own kernel stack, and
// never blocks: a thread's registers are saved in its struct thread at entry,
// and at exit the registers of whichever thread is then current are loaded. So
// there is one kernel stack per CPU, no thread is ever resumed inside the layer,
// and a thread that another CPU can pick up (state ready, set under klock) is
// saved completely by construction.
//
// Interrupts and exceptions never push on a goroutine's stack. Those that
// interrupt a thread use an IST stack only until the registers are saved.
// Page faults, NMI, double fault and machine check have IST stacks of their
// own: the layer's own accesses to Go memory may fault (demand paging), even
// under klock, and nothing else in the layer may. No handler enables interrupts.
//
// Each CPU has an idle thread, an ordinary loop of STI and HLT without a stack;
// whatever makes a thread ready for a sleeping CPU does so under klock and then
// interrupts it, so no wake-up can be lost. An interrupt that hits the HLT
// skips it all the same.
//
// # Floating point
//
// At an interrupt or exception the layer saves x87, SSE and, when CPUID has
// XSAVE, AVX state: then CR4.OSXSAVE is 1 and XCR0 is x87|SSE|AVX (without AVX:
// x87|SSE) on every CPU at all times that Go code runs; see [HostXCR0]. Without
// XSAVE it uses FXSAVE. Signal frames carry the same state, so handlers may use
// it. At a system call all of it is dead (Go has no callee-saved registers) and
// nothing is saved; X15 is 0 on return, as Go's ABI wants.
//
// # Memory
//
// The Go program's memory is demand-zero, 4 KiB pages, never executable; areas
// (VMAs) decide whether a fault is served or becomes SIGSEGV. munmap and
// MADV_DONTNEED give frames back, after a synchronous TLB shootdown. All frames
// come from one pool of fixed size; [ReadStats] accounts for each. The program
// must not let its live memory come near that size: there is nothing to do for
// a page fault without a frame but to end the program. The runtime is told the
// size (GOMEMLIMIT), so that garbage alone does not fill it.
//
// # Threads
//
// Ordinary threads share one queue and run in slices of 2 ms while others wait there for
// their CPU: one that has a CPU alone goes on, and those that are too many share the
// others. A CPU's runner
// (see [Runner]) fills the time they leave, and gets half of it if they leave
// none. Who sleeps for 10 ms, as the runtime's monitor alone does, sleeps for 40.
// klock guards all of that; mmlock the address space; the order is klock,
// then mmlock; pinlock, of I/O APICs, is a leaf. See spinlock for the full rules.
//
// # Limits
//
// 64 CPUs, 256 threads, 64 descriptors, one epoll set, 1024 VMAs; no files, no
// sockets, no processes, no executable mappings; signals only between threads
// and from exceptions; getitimer and timer_create (profiling) are missing.
package kernel
