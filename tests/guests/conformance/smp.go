// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"runtime"
	"time"

	"ringo/boot/kernel"
	"ringo/hv/insn"
)

// migrate lets checking guests move between the runner threads of all CPUs
// while the heap churns. Each runner takes a guest from the queue, runs it for
// a while, and puts it back.
func migrate(h *harness) {
	cpus := kernel.NumCPU()
	if cpus < 2 {
		h.Logf("migrate: one CPU: skipped")
		return
	}
	mask := h.b.Caps().XCR0Mask
	queue := make(chan *tormented, 2*cpus)
	for i := range 2 * cpus {
		queue <- h.torment(uint64(i+1)<<40, i%2 == 0 && mask&4 != 0, []uint64{mask, 3}[i%2], 0x3f80)
	}
	stop := churn()
	end := time.Now().Add(time.Duration(h.secs) * time.Second)
	done := make(chan string)
	for cpu := 1; cpu < cpus; cpu++ {
		go func() { done <- runner(h, cpu, queue, end) }()
	}
	turns(h, 0, queue, end)
	for range cpus - 1 {
		if msg := <-done; msg != "" {
			h.Errorf("%s", msg)
		}
	}
	gcs, _ := stop()
	total := uint64(0)
	for range 2 * cpus {
		g := <-queue
		total += g.rounds
		if g.rounds == 0 {
			h.Errorf("a guest made no progress")
		}
		g.free()
	}
	h.Logf("migrate: %d exits on %d CPUs, %d collections", total, cpus, gcs)
}

// runner becomes the runner of a CPU.
func runner(h *harness, cpu int, queue chan *tormented, end time.Time) string {
	runtime.LockOSThread()
	if err := kernel.Runner(cpu); err != nil {
		return fmt.Sprint("CPU ", cpu, ": ", err)
	}
	if err := h.b.Enable(cpu); err != nil {
		return fmt.Sprint("CPU ", cpu, ": ", err)
	}
	turns(h, cpu, queue, end)
	return ""
}

func turns(h *harness, cpu int, queue chan *tormented, end time.Time) {
	for time.Now().Before(end) {
		g := <-queue
		for range 200 {
			if g.failed || kernel.CPU() != cpu {
				break
			}
			g.step(cpu)
		}
		useVectors()
		canary(h)
		if insn.MXCSR()&^0x3f != 0x1f80 {
			h.Errorf("MXCSR %#x on CPU %d", insn.MXCSR(), cpu)
		}
		g.v.Leave()
		queue <- g
		runtime.Gosched()
	}
}
