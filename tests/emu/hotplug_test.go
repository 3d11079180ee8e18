// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"strings"
	"time"
)

// plugScript is what udev is for: it starts CPUs that were plugged in.
const plugScript = `case $ACTION$DEVPATH in add*/cpu/cpu*) echo 1 >/sys$DEVPATH/online;; esac`

// kernelComplains matches what a guest's kernel says when something is wrong.
const kernelComplains = "bug:|oops|call trace|lockup|rcu.*stall|acpi.*error|warning:"

// hotplug changes the number of vCPUs of a Linux guest that has two of four, from its
// own and the toolstack's point of view, and leaves it with as many.
func (h *host) hotplug(name string) {
	h.t.Helper()
	h.attach(name)
	h.key("\r")
	h.plugScript()
	h.detach()
	h.fails("vcpu-set "+name+" 5", "was made for 4 vCPUs", "max_vcpus=5")
	for _, n := range []int{4, 1, 2} {
		h.vcpuSet(name, n)
		if got := h.list()[name].vcpus; got != n {
			h.t.Errorf("list says %d vCPUs, want %d", got, n)
		}
		if got := strings.Count(h.ok("vcpu-list "+name), " absent "); got != 4-n {
			h.t.Errorf("%d vCPUs are absent, want %d", got, 4-n)
		}
		h.attach(name)
		h.key("\r")
		// A CPU has started before Linux gives it work.
		if got, want := h.sh(fmt.Sprintf("until [ $(nproc) = %d ]; do sleep 0.1; done; grep -c ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/possible", n)), fmt.Sprintf("%d\n0-3", n); got != want {
			h.t.Errorf("of %d vCPUs the guest says %q", n, got)
		}
		// Work on the last one, which says where it runs.
		h.sh("echo 'n=0; while [ $n -lt 300 ]; do n=$((n+1)); done; cut -d\" \" -f39 /proc/self/stat' >/tmp/work")
		if got, want := h.sh(fmt.Sprintf("taskset -c %d sh /tmp/work", n-1)), fmt.Sprint(n-1); got != want {
			h.t.Errorf("work on CPU %s ran on %q", want, got)
		}
		h.detach()
	}
	h.attach(name)
	h.key("\r")
	h.quiet()
	h.detach()
}

// quiet checks that the kernel of the guest whose console is attached has not found
// anything wrong.
func (h *host) quiet() {
	h.t.Helper()
	if got := h.sh("dmesg | grep -i -E '" + kernelComplains + "' || true"); got != "" {
		h.t.Errorf("the guest's kernel complains: %s\n%s", got, h.sh("dmesg | tail -50"))
	}
}

// plugScript has the guest whose console is attached start CPUs that are plugged in.
func (h *host) plugScript() {
	h.t.Helper()
	h.sh("echo '#!/bin/sh' >/tmp/plug; echo '" + plugScript + "' >>/tmp/plug; chmod +x /tmp/plug")
	h.sh("(uevent /tmp/plug >/dev/null 2>&1 &); true")
}

// vcpuSet asks for n vCPUs until a guest has them: on a busy machine it takes longer
// than the verb waits.
func (h *host) vcpuSet(name string, n int) {
	h.t.Helper()
	line := fmt.Sprintf("vcpu-set %s %d", name, n)
	for began := time.Now(); ; {
		out := h.do(line)
		switch {
		case out == "":
			return
		case !strings.Contains(out, "has not started it in") && !strings.Contains(out, "has not given back"), time.Since(began) > guestTime:
			h.t.Fatalf("%s: %s", line, out)
		}
	}
}
