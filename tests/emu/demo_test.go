// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ringo/tools/emu"
)

// hasWord reports whether w is one of the words of s.
func hasWord(s, w string) bool { return slices.Contains(strings.Fields(s), w) }

// TestDemo is the session of the README: the demo guest to its shell and back.
func TestDemo(t *testing.T) {
	t.Parallel()
	d := newGuestDisks(t)
	h := boot(t, emu.Config{MemMiB: 1024, Args: d.args, Modules: modules(d.module)})
	h.ok("disks") // when their drivers have what they need
	free := h.free()
	h.ok("create demo.toml hvc=true port=org.ringo.test" + d.settings)
	h.attach("demo")
	h.see(guestTime, "Linux version")
	h.shell()
	if got := h.sh("echo $((6*7))"); got != "42" {
		t.Errorf("the shell answers %q", got)
	}
	if got := h.sh("grep -c ^processor /proc/cpuinfo"); got != "1" {
		t.Errorf("%s CPUs in the guest", got)
	}
	if got := h.sh("dmesg | grep -i -E 'bug:|oops|call trace|lockup|acpi.*error' | wc -l"); got != "0" {
		t.Errorf("the guest's kernel complains: %s", h.sh("dmesg | tail -50"))
	}
	if got := h.sh("cat /sys/devices/system/clocksource/clocksource0/available_clocksource"); !hasWord(got, "hpet") || !hasWord(got, "kvm-clock") {
		t.Errorf("clocks: %q", got)
	}
	h.detach()

	r, ok := h.list()["demo"]
	if !ok || r.mem != 256 || r.vcpus != 1 || r.id == 0 {
		t.Errorf("list: %+v", r)
	}
	d.use(h)
	testPause(h)
	h.ok("dump-core demo")
	if out := h.ok("dumps demo"); !strings.Contains(out, "Kernel:      6.1.0-") || !strings.Contains(out, "vCPU 0:      RIP 0xffffffff") {
		t.Errorf("a dump of Linux: %s", out)
	}
	h.ok("dumps -d demo")
	h.ok("trigger demo nmi")
	if out := h.ok("trigger demo sleep"); out != "" {
		t.Errorf("sleep button: %q", out)
	}
	h.attach("demo")
	h.see(verbTime, "NMI received for unknown reason")
	h.detach()
	h.ok("sysrq demo h")
	h.attach("demo")
	h.see(verbTime, "sysrq: HELP :")
	h.detach()
	testGeneration(h)
	testConsoles(h)
	if out := h.ok("shutdown -w demo"); !strings.Contains(out, `domain "demo" has powered off: destroying it`) {
		t.Errorf("shutdown -w: %q", out)
	}
	if _, ok := h.list()["demo"]; ok {
		t.Error("demo is listed after destroy")
	}
	if got := h.free(); got != free {
		t.Errorf("free memory %d, %d before the guest", got, free)
	}
	h.poweroff()
	d.compare(t)
}

// testPause checks that a paused guest stands still, and goes on after it.
func testPause(h *host) {
	h.t.Helper()
	h.ok("pause demo")
	before := h.list()["demo"]
	if !strings.Contains(before.state, "p") {
		h.t.Errorf("paused: state %q", before.state)
	}
	h.ok("uptime")
	if after := h.list()["demo"]; after.seconds != before.seconds {
		h.t.Errorf("it ran while paused: %v s, then %v s", before.seconds, after.seconds)
	}
	h.ok("unpause demo")
	h.attach("demo")
	if got := h.sh("echo alive"); got != "alive" {
		h.t.Errorf("after unpause: %q", got)
	}
	h.detach()
}

// TestScrollback: what a guest printed before anybody looked is shown. The guest is
// one that is defined, and starts with the machine.
func TestScrollback(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 1024, HVArgs: "autostart=nothing.toml,demo.toml"})
	for range 1000 {
		if strings.Contains(h.Transcript(), `started "demo" (id 1): autostart`) {
			break
		}
		h.do("list")
	}
	if !strings.Contains(h.Transcript(), `error: autostart of nothing.toml: no file "nothing.toml"`) {
		t.Error("nothing is said of a file that is not there")
	}
	h.ok("edit demo memory=200MiB")
	h.attach("demo")
	h.shell()
	h.detach()
	h.attach("demo")
	h.see(verbTime, "Linux version")
	h.shell()
	h.detach()
	// So was it before it rebooted.
	if out := h.ok("reboot -w demo"); !strings.Contains(out, `domain "demo" has powered off to reboot: restarting`) {
		t.Errorf("reboot -w: %q", out)
	}
	h.attach("demo")
	h.see(guestTime, "power button: shutting down")
	h.see(guestTime, "Linux version")
	h.detach()
	h.fails("reboot demo", "does not listen to its power button")
	old := h.list()["demo"].id
	h.ok("reset demo")
	h.see(verbTime, `domain "demo" reboots`)
	for r := h.list()["demo"]; r.id <= old || strings.Contains(r.state, "p"); r = h.list()["demo"] { // it is being made
		time.Sleep(100 * time.Millisecond)
	}
	// It restarts as it was, and starts as it is defined.
	h.ok("destroy demo")
	if out := h.ok("list --all"); !strings.Contains(out, "demo") || !strings.Contains(out, "off") {
		t.Errorf("list --all: %s", out)
	}
	h.fails("create demo.toml", `domain "demo" is defined`)
	h.ok("start demo")
	if got := h.list()["demo"].mem; got != 200 {
		t.Errorf("started with %d MiB", got)
	}
	h.ok("undefine demo")
	h.ok("destroy demo")
	h.fails("start demo", `domain "demo" does not exist`)
	h.poweroff()
}

// TestPasted pastes a script whose first line takes a while: every line after it
// is run.
func TestPasted(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 1024})
	const lines = 1000
	script := "create demo.toml\n"
	for i := range lines {
		script += fmt.Sprintf("domstate nobody%04d\n", i)
	}
	h.key(script)
	for i := range lines {
		h.see(verbTime, fmt.Sprintf("error: domain \"nobody%04d\" does not exist", i))
	}
	h.see(verbTime, prompt)
	if _, ok := h.list()["demo"]; !ok {
		t.Error("the first line was not run")
	}
	h.poweroff()
}

// TestVerbs checks the answers that need no guest, and what can be done to small ones.
func TestVerbs(t *testing.T) {
	t.Parallel()
	conf, socket := withDevice(t, emu.Config{MemMiB: 512, HVArgs: "loglvl=debug maxcpus=1 sched=pinned watchdog iommu=auto console=com1,vga"})
	h := bootMicro(t, conf)
	h.unconfined(socket)
	if d := h.ok("dmesg"); !strings.Contains(d, "ringo: ") {
		t.Errorf("dmesg: %q", d)
	}
	for _, want := range []string{"watchdog: with one CPU nobody sees it loop", "warning: iommu: this machine has none"} {
		if d := h.ok("dmesg"); !strings.Contains(d, want) {
			t.Errorf("dmesg does not say %q", want)
		}
	}
	if got := h.info()["scheduler"]; got != "pinned" {
		t.Errorf("sched=pinned: scheduler %q", got)
	}
	help := h.ok("help")
	for _, verb := range []string{"create", "destroy", "console", "list", "info", "dmesg", "pause", "unpause", "files", "help", "poweroff"} {
		if !hasWord(help, verb) {
			t.Errorf("help does not name %s", verb)
		}
	}
	if got := h.info()["nr_cpus"]; got != "1" {
		t.Errorf("maxcpus=1: nr_cpus %q", got)
	}
	if rows := h.list(); len(rows) != 1 || rows["Domain-0"].mem == 0 {
		t.Errorf("list: %+v", rows)
	}
	if out := h.ok("xl list"); !strings.Contains(out, "Domain-0") {
		t.Errorf("xl list: %q", out)
	}
	// Of the line at the start, see TestBoot.
	if out := h.ok("status"); !strings.Contains(out, ", 1 CPU, ") || !strings.Contains(out, "0 guests; health: 2 warnings in dmesg; the way in: this console") {
		t.Errorf("status: %q", out)
	}
	h.topLive()
	h.ok("sched-credit Domain-0 -w 1234 -c 90")
	if out := h.ok("sched-credit Domain-0"); !strings.HasSuffix(out, " 1234    90") {
		t.Errorf("sched-credit: %q", out)
	}
	for _, c := range [][2]string{{"", "3.333"}, {" -t 20", "20"}, {"", "20"}, {" -t 3.333", "3.333"}} {
		if out := h.ok("sched-credit -s" + c[0]); out != "tslice="+c[1]+"ms" {
			t.Errorf("sched-credit -s%s: %q", c[0], out)
		}
	}
	h.fails("sched-credit -s -t 200", "use 0.5 to 100 ms")
	if out := h.ok("top -1"); !strings.Contains(out, "Forwards\nDomain-0 ") {
		t.Errorf("top -1: %q", out)
	}
	h.fails("frobnicate", "frobnicate")
	h.fails("destroy nobody", `"nobody"`)
	h.verbs()
	h.definitions()
	h.ends(false)
	h.key("restart\r")
	if s, err := h.Wait(endTime); err != nil || s.End != emu.Reset {
		t.Errorf("restart: %+v, %v", s, err)
	}
}
