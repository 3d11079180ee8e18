// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import "strings"

// testGeneration gives the guest "demo" another generation identifier, which its kernel
// hears of.
func testGeneration(h *host) {
	h.t.Helper()
	h.attach("demo")
	h.key("\r")
	if got := h.sh("ls -d /sys/bus/acpi/drivers/vmgenid/*:*"); !strings.HasSuffix(got, "/RNGO0001:00") {
		h.t.Errorf("the driver of generation identifiers has %q", got)
	}
	h.detach()
	if out := h.ok("trigger demo genid"); out != "" {
		h.t.Errorf("another generation identifier: %q", out)
	}
	h.attach("demo")
	h.key("\r")
	h.sh("until dmesg | grep 'crng reseeded due to virtual machine fork'; do sleep 0.1; done")
	h.detach()
}

// testConsoles uses the virtio console of the guest "demo" and its port org.ringo.test,
// both ways.
func testConsoles(h *host) {
	h.t.Helper()
	h.fails("console -t hcv demo", `has no console or port "hcv": it has hvc, org.ringo.test, serial`)
	h.attach("demo")
	h.key("\r")
	if got := h.sh("cat /sys/class/virtio-ports/vport*p1/name"); got != "org.ringo.test" {
		h.t.Errorf("ports: %q", got)
	}
	h.sh("echo pri''nted >/dev/hvc0; (head -n 1 /dev/hvc0 >/tmp/typed) & true")
	// A port is at its end while nobody is at the other one.
	h.sh(`(exec 3<>$(echo /dev/vport*p1); until read l <&3; do sleep 0.1; done; echo "guard $l" >&3) & true`)
	h.detach()
	h.attach("-t hvc demo")
	h.see(verbTime, "printed")
	h.key("typed\r")
	h.see(verbTime, "typed")
	h.detach()
	h.attach("-t org.ringo.test demo")
	h.key("who goes there\n")
	h.see(verbTime, "guard who goes there")
	h.detach()
	h.attach("demo")
	h.key("\r")
	if got := h.sh("until [ -s /tmp/typed ]; do sleep 0.1; done; cat /tmp/typed"); !hasWord(got, "typed") { // its jobs may be told of as well
		h.t.Errorf("typed on hvc0: %q", got)
	}
	h.detach()
}
