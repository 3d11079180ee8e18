// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringo/tests/guests/micro/guest"
	"ringo/tools/emu"
)

// micro is the line that creates the micro guest in a mode.
func micro(name, mode string) string {
	return fmt.Sprintf(`create name=%s kernel=boot:micro.elf cmdline="mode=%s" memory=64MiB`, name, mode)
}

// bootMicro boots with the micro guest as a module.
func bootMicro(t *testing.T, c emu.Config) *host {
	t.Helper()
	c.Modules = modules(file(t, "micro.elf", string(guest.Build().ELF())))
	return boot(t, c)
}

// TestHostile runs each bad guest next to a good one, on two CPUs. Whatever it
// does, the good guest and dom0 answer, and its memory comes back.
func TestHostile(t *testing.T) {
	t.Parallel()
	h := bootMicro(t, emu.Config{MemMiB: 1024})
	h.ok(micro("good", "echo"))
	free := h.free()
	for _, c := range []struct {
		mode string
		// ends says that the guest is gone by itself, with this text on the
		// console; else it runs until it is destroyed.
		ends string
	}{
		{"triple", `domain "triple" reboots: triple fault: destroying it`},
		{"scribble", `domain "scribble"`},
		{"spin", ""},
		{"hlt", ""},
		{"flood", ""},
		{"hyperflood", ""},
	} {
		t.Run(c.mode, func(t *testing.T) {
			on := &host{Machine: h.Machine, t: t}
			on.ok(micro(c.mode, c.mode) + " on_reboot=destroy")
			if c.ends != "" {
				on.gone(c.mode, c.ends)
			} else {
				time.Sleep(5 * time.Second)
				on.responsive()
				if _, ok := on.list()[c.mode]; !ok {
					t.Error("it is gone")
				}
				on.ok("destroy " + c.mode)
			}
			on.responsive()
			if got := on.free(); got != free {
				t.Errorf("free memory %d, %d before", got, free)
			}
		})
	}
	h.testDump(true)
	if got := h.free(); got != free {
		t.Errorf("free memory %d, %d before the dump", got, free)
	}
	if strings.Contains(h.Transcript(), "FAIL") {
		t.Error("a guest found a broken promise; see the log")
	}
	h.poweroff()
}

// gone watches a guest's console until it has ended by itself, and checks that
// somebody said why.
func (h *host) gone(name, why string) {
	h.t.Helper()
	h.attach(name)
	h.see(guestTime, "is closed", "does not exist", "has no console")
	h.see(verbTime, "\n"+prompt)
	// Its console closes when its end begins; its memory is scrubbed after that.
	began := time.Now()
	for {
		if _, ok := h.list()[name]; !ok {
			break
		}
		if time.Since(began) > verbTime {
			h.t.Fatalf("%s is still there", name)
		}
		time.Sleep(50 * time.Millisecond)
	}
	h.t.Logf("%s was gone %v after its console", name, time.Since(began))
	if !strings.Contains(h.Transcript(), why) {
		h.t.Errorf("nobody said %q", why)
	}
}

// responsive checks that dom0 answers, and that the guest called good does.
func (h *host) responsive() {
	h.t.Helper()
	h.ok("list")
	h.attach("good")
	word := fmt.Sprintf("ping-%d", time.Now().UnixNano())
	h.key(word)
	h.see(verbTime, word)
	h.detach()
}

// TestVerifiers runs the guests that check the hypervisor's promises, more of
// them than there are CPUs, while others come and go: registers survive exits,
// RAM is zero at first and stays what was written.
func TestVerifiers(t *testing.T) {
	t.Parallel()
	h := bootMicro(t, emu.Config{MemMiB: 1536})
	soak(h, 30*time.Second)
	h.poweroff()
}

// TestTorture is TestVerifiers for minutes, with two and with four CPUs. The
// debug key m stops the hypervisor's world for its statistics, again and again.
func TestTorture(t *testing.T) {
	t.Parallel()
	if !*long {
		t.Skip("needs -long")
	}
	for _, smp := range []int{2, 4} {
		t.Run(fmt.Sprint(smp), func(t *testing.T) {
			h := bootMicro(t, emu.Config{SMP: smp, MemMiB: 2048})
			soak(h, 3*time.Minute)
			h.poweroff()
		})
	}
}

// soak runs verifying guests for d.
func soak(h *host, d time.Duration) {
	h.t.Helper()
	for i, mode := range []string{"regs", "memcheck", "regs", "memcheck", "gap", "regs"} {
		h.ok(micro(fmt.Sprintf("%s%d", mode, i), mode))
	}
	h.ok(micro("good", "echo"))
	for end := time.Now().Add(d); time.Now().Before(end); {
		h.ok(micro("short", "memcheck"))
		h.ok("debug-keys m")
		h.responsive()
		h.ok("destroy short")
	}
	for i, mode := range []string{"regs", "memcheck", "regs", "memcheck", "gap", "regs"} {
		name := fmt.Sprintf("%s%d", mode, i)
		if _, ok := h.list()[name]; !ok {
			h.t.Errorf("%s is gone", name)
			continue
		}
		h.attach(name)
		h.see(verbTime, "micro: "+mode)
		h.detach()
	}
	if strings.Contains(h.Transcript(), "FAIL") {
		h.t.Error("a guest found a broken promise; see the log")
	}
}
