// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"ringo/tools/emu"
)

// TestSMPGuest runs a Linux that starts its other CPUs by INIT and start-up
// messages, under a dom0 that has two vCPUs as well. It works on all of them, is
// paused and unpaused meanwhile, given other vCPUs where it has a maximum, and
// destroyed as it runs.
func TestSMPGuest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		host  emu.Config
		vcpus int
		sizes [3]int // sockets, cores, threads; zeros: one socket of cores
		max   int    // vCPUs, 0: as many
		long  bool
	}{
		{"smp2-vcpus2", emu.Config{SMP: 2}, 2, [3]int{1, 1, 2}, 0, false},
		{"parallel2-vcpus2", parallel(2), 2, [3]int{}, 4, false},
		{"parallel4-vcpus4", parallel(4), 4, [3]int{2, 1, 2}, 0, true},
		{"smp4-vcpus4", emu.Config{SMP: 4}, 4, [3]int{}, 0, true},
		{"smp1-vcpus2", emu.Config{SMP: 1}, 2, [3]int{2, 1, 1}, 0, true},
		{"smp2-vcpus6", emu.Config{SMP: 2}, 6, [3]int{2, 3, 1}, 0, true},
	} {
		if c.long && !*long {
			continue
		}
		t.Run(c.name, func(t *testing.T) { smpGuest(t, c.host, c.vcpus, c.sizes, c.max) })
	}
}

func smpGuest(t *testing.T, host emu.Config, vcpus int, sizes [3]int, most int) {
	host.MemMiB = 1024
	host.HVArgs += fmt.Sprintf(" noreboot dom0_max_vcpus=%d", min(host.SMP, 2))
	h := bootMicro(t, host)
	if got, want := h.list()["Domain-0"].vcpus, min(host.SMP, 2); got != want {
		t.Errorf("dom0 has %d vCPUs, want %d", got, want)
	}
	h.ok(micro("first", "spin")) // what is made once and kept, is made now
	h.ok("destroy first")
	free := h.free()
	create := linux("smp") + fmt.Sprintf(" vcpus=%d", vcpus)
	if sizes != [3]int{} {
		create += fmt.Sprintf(" topology=%d:%d:%d", sizes[0], sizes[1], sizes[2])
	} else {
		sizes = [3]int{1, vcpus, 1}
	}
	if most != 0 {
		create += fmt.Sprintf(" max_vcpus=%d", most)
	}
	h.ok(create)
	h.attach("smp")
	h.shell()
	if got, want := h.sh("grep -c ^processor /proc/cpuinfo"), fmt.Sprint(vcpus); got != want {
		t.Errorf("the guest has %q CPUs, want %s", got, want)
	}
	h.topology(vcpus, sizes)
	if got := h.sh("dmesg | grep kvm-guest"); !strings.Contains(got, "PV spinlocks enabled") || strings.Contains(got, "async PF") {
		t.Errorf("what Linux uses of KVM: %q", got)
	}
	// Work on every CPU: each loop stores what it counted to.
	h.sh(fmt.Sprintf("for i in $(seq %d); do (n=0; while [ $n -lt 300 ]; do n=$((n+1)); done; echo $n >/tmp/n$i) & done; true", vcpus))
	h.detach()
	for range 5 {
		h.ok("pause smp")
		time.Sleep(50 * time.Millisecond)
		h.ok("unpause smp")
	}
	h.attach("smp")
	h.key("\r")
	if got, want := h.sh("wait; cat /tmp/n* | sort | uniq -c | tr -s ' '"), fmt.Sprintf(" %d 300", vcpus); got != want {
		t.Errorf("the loops say %q, want %q", got, want)
	}
	if most != 0 {
		h.detach()
		h.hotplug("smp")
		h.attach("smp")
		h.key("\r")
	}
	h.sh(fmt.Sprintf("for i in $(seq %d); do (while :; do :; done) & done; true", vcpus))
	h.detach()
	h.pinning("smp", host)
	h.ok("destroy smp")
	if got := h.free(); got != free {
		t.Errorf("free memory %d, %d before", got, free)
	}
	h.poweroff()
}

// pinning moves all busy vCPUs of a domain to one CPU of two and to the other, and
// sees by the traces of exits that they leave the one and share the other.
func (h *host) pinning(name string, c emu.Config) {
	h.t.Helper()
	if strings.Contains(c.HVArgs, "hv_cpus=1") {
		h.fails("vcpu-pin "+name+" all 0-1", "CPUs 0 are the hypervisor's own", "use CPUs of 1")
	}
	h.fails("vcpu-pin "+name+" 0 99", "there is no CPU 99")
	if c.SMP != 2 {
		return
	}
	id := h.ok("domid " + name)
	row := regexp.MustCompile(`(?m)^ *-?[0-9.]+ +` + id + ` +(\d+) `)
	for cpu := range 2 {
		h.ok(fmt.Sprintf("vcpu-pin %s all %d", name, cpu))
		if got := h.ok("vcpu-list " + name); strings.Count(got, fmt.Sprintf("  %d\n", cpu)) != 1 || !strings.HasSuffix(got, fmt.Sprintf("  %d", cpu)) {
			h.t.Errorf("pinned to %d: %q", cpu, got)
		}
		for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
			left := row.MatchString(h.ok(fmt.Sprint("trace ", 1-cpu)))
			seen := map[string]bool{}
			for _, m := range row.FindAllStringSubmatch(h.ok(fmt.Sprint("trace ", cpu)), -1) {
				seen[m[1]] = true
			}
			if !left && len(seen) == 2 {
				break
			}
			if time.Since(began) > guestTime {
				h.t.Fatalf("pinned to CPU %d: on the other one %v, here are vCPUs %v", cpu, left, seen)
			}
		}
	}
	h.ok("vcpu-pin " + name + " all all")
}

// topology checks what lscpu reads: the CPUs of each CPU's core and socket.
func (h *host) topology(vcpus int, sizes [3]int) {
	h.t.Helper()
	list := func(from, n int) string {
		if n == 1 {
			return fmt.Sprint(from)
		}
		return fmt.Sprintf("%d-%d", from, from+n-1)
	}
	for cpu := range vcpus {
		core, socket := sizes[2], sizes[1]*sizes[2]
		want := list(cpu-cpu%core, core) + " " + list(cpu-cpu%socket, socket)
		dir := fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/", cpu)
		got := h.sh("echo $(cat " + dir + "core_cpus_list " + dir + "package_cpus_list)")
		if got != want {
			h.t.Errorf("CPU %d of %v: core and socket %q, want %q", cpu, sizes, got, want)
		}
	}
}
