// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tiny is the line that creates the micro guest, with little memory.
func tiny(name, mode string) string {
	return fmt.Sprintf(`create name=%s kernel=boot:micro.elf cmdline="mode=%s" memory=4MiB`, name, mode)
}

// hear waits until the console has said something, at any time.
func (h *host) hear(text string) {
	h.t.Helper()
	h.hearSince(0, text)
}

// hearSince is hear from a length of the transcript on.
func (h *host) hearSince(at int, text string) {
	h.t.Helper()
	for began := time.Now(); !strings.Contains(h.Transcript()[at:], text); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > guestTime {
			h.t.Fatalf("nobody says %q", text)
		}
		h.do("domid Domain-0") // what is said is read while a verb is
	}
}

// until waits until list fits.
func (h *host) until(what string, fits func(rows map[string]row) bool) {
	h.t.Helper()
	for began := time.Now(); !fits(h.list()); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > guestTime {
			h.t.Fatalf("%s: %+v", what, h.list())
		}
	}
}

// ends has a guest end in each way, under each action that there is for it. With
// restart it does so again and again, until that is too often; brief leaves those out.
func (h *host) ends(brief bool) {
	h.t.Helper()
	free := h.free()
	for _, c := range []struct {
		mode, key, what string
		actions         string
	}{
		{"hello", "on_poweroff", "has powered off", "destroy restart rename-restart preserve"},
		{"triple", "on_reboot", "reboots: triple fault", "destroy restart rename-restart preserve"},
		{"crash", "on_crash", "crashed: by its own hypercall", "destroy restart rename-restart preserve coredump-destroy coredump-restart"},
	} {
		for action := range strings.FieldsSeq(c.actions) {
			if brief && strings.HasSuffix(action, "restart") {
				continue
			}
			name := c.mode + "-" + action
			h.ok(tiny(name, c.mode) + " " + c.key + "=" + action)
			said := fmt.Sprintf("domain %q %s", name, c.what)
			dumped := strings.HasPrefix(action, "coredump-")
			if dumped {
				said += fmt.Sprintf(" (dumped: dumps %s)", name)
			}
			switch strings.TrimPrefix(action, "coredump-") {
			case "destroy":
				h.hear(said + ": destroying it")
			case "preserve":
				h.hear(fmt.Sprintf("%s: kept (destroy %s frees it)", said, name))
			case "restart":
				h.hear(said + ": restarting")
				h.hear(fmt.Sprintf("%s: too often to restart it (5 times, and once more a minute): kept", said))
			case "rename-restart":
				h.hear(fmt.Sprintf("%s: kept as %q (destroy %[2]s frees it), restarting", said, name+"-5"))
				h.hear(fmt.Sprintf("%s: too often to restart it", said))
			}
			if strings.HasSuffix(action, "destroy") {
				h.until(name+" is still there", func(rows map[string]row) bool { return rows[name].id == 0 })
			}
			for _, kept := range slices.Sorted(maps.Keys(h.list())) {
				if strings.HasPrefix(kept, name) {
					h.ok("destroy " + kept)
				}
			}
			if dumped {
				if out := h.ok("dumps"); !hasWord(out, name) {
					h.t.Errorf("dumps: %s", out)
				}
				h.ok("dumps -d " + name)
			}
			if got := h.free(); got != free {
				h.t.Errorf("%s: free memory %d, %d before", name, got, free)
				free = got
			}
		}
	}
}

// verbs does to a guest what can be done to one.
func (h *host) verbs() {
	h.t.Helper()
	h.ok(tiny("life", "echo") + " vcpus=2 -p")
	if out := h.ok("dominfo life"); !strings.Contains(out, "has not run yet") || h.ok("domstate life") != "paused" {
		h.t.Errorf("dominfo: %s", out)
	}
	h.ok("resume life")
	h.echoes("life")
	h.ok("suspend life")
	before := h.list()["life"]
	h.ok("uptime life")
	if after := h.list()["life"]; after != before || !strings.Contains(after.state, "p") {
		h.t.Errorf("paused: %+v, then %+v", before, after)
	}
	h.ok("unpause life")
	h.ok("rename life other")
	h.attach("other")
	h.key("still there")
	h.see(verbTime, "still there")
	h.detach()
	id := h.list()["other"].id
	if out := h.ok(fmt.Sprint("domname ", id)); out != "other" {
		h.t.Errorf("domname %d: %q", id, out)
	}
	if out := h.ok("dominfo other"); !strings.Contains(out, " bytes on its console") {
		h.t.Errorf("dominfo: %s", out)
	}
	if m := regexp.MustCompile(`(?m)^total +(\d+) `).FindStringSubmatch(h.ok("stats other")); m == nil || m[1] == "0" {
		h.t.Errorf("stats: %q", m)
	}
	if out := h.ok("version"); !strings.Contains(out, "hypervisor ") {
		h.t.Errorf("version: %q", out)
	}
	for _, button := range []string{"power", "sleep"} {
		if out := h.ok("trigger other " + button); !strings.Contains(out, "does not listen to this (yet)") {
			h.t.Errorf("trigger %s: %q", button, out)
		}
	}
	h.ok("trigger other init 1") // a CPU that waits to be started
	h.fails("trigger other nmi 2", "has no vCPU 2")
	h.fails("shutdown other", "does not listen to its power button")
	for _, c := range [][2]string{
		{"reset other", "reboots: "}, {"trigger other reset", "reboots: "},
		{"trigger other init", "reboots: INIT of its boot processor: restarting"},
		{"reboot -w -F other", "does not reboot: resetting it"},
	} {
		old := h.list()["other"].id
		before := h.Transcript()
		n := strings.Count(before, "restarting")
		h.ok(c[0])
		h.hearSince(len(before), `domain "other" `+c[1])
		h.hearSince(len(before), "restarting") // or the line stands in the midst of list
		h.until(c[0], func(rows map[string]row) bool {
			return rows["other"].id > old && !strings.Contains(rows["other"].state, "p")
		})
		if got := strings.Count(h.Transcript(), "restarting"); got != n+1 {
			h.t.Errorf("%s: restarted %d times", c[0], got-n)
		}
		h.echoes("other")
	}
	h.ok("shutdown -F other")
	h.hear(`domain "other" does not power off: destroying it`)
	h.until("it is still there", func(rows map[string]row) bool { return rows["other"].id == 0 })
}

// definitions defines a guest by what is typed, changes it and starts it.
func (h *host) definitions() {
	h.t.Helper()
	h.key("define -\r")
	h.see(verbTime, "> ")
	for _, line := range []string{`name = "kept"`, `memory = "4MiB"`, "[boot]", `kernel = "boot:micro.elf"`, `cmdline = "mode=echo"`, "."} {
		h.key(line + "\r")
	}
	h.see(verbTime, `defined "kept"`)
	h.see(verbTime, "\n"+prompt)
	h.ok("mem-set kept 6MiB")
	h.ok("vcpu-set kept 2")
	h.ok("autostart kept")
	if out := h.ok("dominfo kept"); !strings.Contains(out, "Autostart:      yes") {
		h.t.Errorf("dominfo: %s", out)
	}
	h.ok("autostart -d kept")
	if out := h.ok("dominfo kept"); !strings.Contains(out, "Autostart:      no") {
		h.t.Errorf("dominfo: %s", out)
	}
	h.ok("start kept")
	if r := h.list()["kept"]; r.mem != 6 || r.vcpus != 2 {
		h.t.Errorf("started as %+v", r)
	}
	h.fails("mem-set kept 8MiB", "balloon")
	h.echoes("kept")
	if out := h.ok("list -l kept"); !strings.Contains(out, `"on_reboot": "restart"`) || !strings.Contains(out, strconv.Quote("kept")) {
		h.t.Errorf("list -l: %s", out)
	}
	h.ok("destroy kept")
	h.ok("undefine kept")
}
