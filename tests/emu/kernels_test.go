// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ringo/tools/demo"
	"ringo/tools/emu"
)

// kindFiles are the boot modules with which linuxOf makes guests of a kernel of Debian.
func kindFiles(t *testing.T, kinds ...demo.Kind) (paths []string) {
	t.Helper()
	for _, k := range kinds {
		kernel, initrd, err := k.Prepare(os.Stderr, filepath.Join(built.root, "build", "demo"), built.Files)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, kernel, initrd)
	}
	return paths
}

// linuxOf is the line that creates a Linux of a kind, from the file that Debian
// distributes. Its watchdogs are off: beside seven others on an emulated CPU it may wait
// longer for its own than they do.
func linuxOf(name string, k demo.Kind, vcpus int) string {
	return fmt.Sprintf(`create name=%s kernel=boot:vmlinuz-%s initrd=boot:initrd-%[2]s.gz memory=192MiB vcpus=%d cmdline="console=ttyS0 nowatchdog rcupdate.rcu_cpu_stall_suppress=1"`, name, k.Name, vcpus)
}

// TestKernels runs each of Debian's kernels with one CPU and with four, all of them
// beside each other. They end and restart as they are asked to.
func TestKernels(t *testing.T) {
	t.Parallel()
	if !*long {
		t.Skip("needs -long; TestTwoGuests has one of them")
	}
	h := boot(t, emu.Config{MemMiB: 3072, Modules: modules(kindFiles(t, demo.Kinds...)...)})
	free := h.free()
	type guest struct {
		name  string
		kind  demo.Kind
		vcpus int
	}
	var all []guest
	for _, k := range demo.Kinds {
		for _, vcpus := range []int{1, 4} {
			g := guest{fmt.Sprintf("%s-%d", k.Name, vcpus), k, vcpus}
			all = append(all, g)
			h.ok(linuxOf(g.name, g.kind, g.vcpus))
		}
	}
	for _, g := range all {
		h.attach(g.name)
		h.shell()
		h.isKind(g.kind, g.vcpus)
		h.detach()
	}
	if rows := h.list(); len(rows) != len(all)+1 {
		t.Errorf("%d domains in list, want %d", len(rows), len(all)+1)
	}
	for _, g := range all {
		if g.vcpus > 1 {
			if out := h.ok("reboot -w " + g.name); !strings.Contains(out, "has powered off to reboot: restarting") {
				t.Errorf("reboot -w %s: %q", g.name, out)
			}
		}
	}
	for _, g := range all {
		if g.vcpus > 1 {
			h.attach(g.name)
			h.see(guestTime, "power button: shutting down")
			h.shell()
			h.detach()
		}
		if out := h.ok("shutdown -w " + g.name); !strings.Contains(out, "has powered off: destroying it") {
			t.Errorf("shutdown -w %s: %q", g.name, out)
		}
	}
	if got := h.free(); got != free {
		t.Errorf("free memory %d, %d before", got, free)
	}
	h.poweroff()
}

// isKind checks that the guest whose shell is attached is a kernel of that kind on so
// many CPUs, all of which work, that has found its devices and has nothing to complain of.
func (h *host) isKind(k demo.Kind, vcpus int) {
	h.t.Helper()
	if got := h.sh("uname -r"); !strings.HasSuffix(got, k.Release) || strings.Count(got, "-") != 1+strings.Count(k.Release, "-") {
		h.t.Errorf("%s: release %q", k.Name, got)
	}
	work := fmt.Sprintf("for i in $(seq 0 %d); do taskset $(printf %%x $((1<<i))) sh -c 'n=0; while [ $n -lt 300 ]; do n=$((n+1)); done; echo $n' & done; wait", vcpus-1)
	for _, c := range [][2]string{
		{"grep -c ^processor /proc/cpuinfo", fmt.Sprint(vcpus)},
		{"(" + work + ") | sort | uniq -c | tr -s ' '", fmt.Sprintf(" %d 300", vcpus)},
		{"cat /sys/class/misc/hw_random/rng_current", "virtio_rng.0"},
		{"dmesg | grep -c 'Switched to clocksource kvm-clock'", "1"}, // to the TSC later, where it can
		{"dmesg | grep -i -E 'bug:|oops|call trace|acpi.*error' | wc -l", "0"},
	} {
		if got := h.sh(c[0]); got != c[1] {
			h.t.Errorf("%s with %d CPUs: %s: %q, want %q", k.Name, vcpus, c[0], got, c[1])
		}
	}
	if h.t.Failed() {
		h.t.Log(h.sh("dmesg | tail -100"))
	}
}
