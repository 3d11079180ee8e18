// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringo/tools/emu"
	"ringo/tools/initramfs/rootfs"
)

// Deadlines: how long a test waits before it says that something will not happen.
// They are far beyond what a machine takes that runs much else beside the tests.
const (
	bootTime  = 10 * time.Minute // power-on to prompt
	verbTime  = 10 * time.Minute // a verb's answer
	guestTime = 20 * time.Minute // create to a shell
	endTime   = 5 * time.Minute  // poweroff to the end of the emulator
)

// lingers is how long a machine that has stopped must stay as it is. A busy test
// machine only makes it stay longer.
const lingers = 12 * time.Second

const prompt = "ringo# "

// host is a running machine.
type host struct {
	*emu.Machine
	t     *testing.T
	marks int // see sh
	cpus  int
	dir   string // of Bochs' files
}

// start runs a machine without waiting for anything. Zero fields of c are the
// images under test with the demo guest's modules, two CPUs and 1 GiB. The
// console's text is kept in build/test/<test>.log.
func start(t *testing.T, c emu.Config) *host {
	t.Helper()
	if c.HV == "" {
		c.HV = built.HV
	}
	if c.Modules == nil {
		c.Modules = modules()
	}
	if c.SMP == 0 {
		c.SMP = 2
	}
	c.Dir = t.TempDir()
	m, err := emu.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{Machine: m, t: t, cpus: c.SMP}
	t.Cleanup(h.close)
	return h
}

// close ends the machine and keeps its transcript.
func (h *host) close() {
	h.Kill()
	h.Drain()
	name := strings.NewReplacer("/", "-", " ", "-").Replace(h.t.Name()) + ".log"
	text := h.CommandLine() + "\n" + h.Transcript()
	if err := os.WriteFile(filepath.Join(built.root, "build", "test", name), []byte(text), 0o644); err != nil {
		h.t.Log(err)
	}
}

// boot starts a machine and waits for dom0's prompt.
func boot(t *testing.T, c emu.Config) *host {
	t.Helper()
	h := start(t, c)
	h.see(bootTime, prompt)
	return h
}

// see waits for one of the texts and returns the output before it.
func (h *host) see(d time.Duration, texts ...string) string {
	h.t.Helper()
	_, before, err := h.Expect(d, texts...)
	if err != nil {
		h.fatal(err)
	}
	return before
}

// seeRE waits for a match and returns its groups.
func (h *host) seeRE(d time.Duration, pattern string) []string {
	h.t.Helper()
	m, err := h.ExpectRE(d, regexp.MustCompile(pattern))
	if err != nil {
		h.fatal(err)
	}
	return m
}

// fatal fails the test, and says how the machine ended if it has: an end by
// reset without a dump is a triple fault of the host. What was waited for comes last,
// since of a long log often only the end is kept.
func (h *host) fatal(err error) {
	h.t.Helper()
	if s, werr := h.Wait(time.Second); werr == nil {
		h.t.Fatalf("the machine: %+v\n%v", s, err)
	}
	h.t.Fatalf("%s\n%v", h.registers(), err)
}

// registers says where the machine's CPUs are and what their local APICs hold, for
// what hangs without a word.
func (h *host) registers() string {
	if h.Monitor == nil {
		return ""
	}
	var b strings.Builder
	ask := func(command string, lines ...string) bool {
		text, err := h.Monitor.HMP(command)
		if err != nil {
			b.WriteString(err.Error())
			return false
		}
		for line := range strings.Lines(text) {
			if slices.ContainsFunc(lines, func(s string) bool { return strings.Contains(line, s) }) {
				b.WriteString(line)
			}
		}
		return true
	}
	for cpu := range h.cpus {
		ask(fmt.Sprintf("info lapic %d", cpu), "LVTT", "Timer", "ISR", "IRR")
	}
	ask("info registers -a", "CPU#", "RIP=", "RSP=")
	return b.String()
}

// key types without a line's end.
func (h *host) key(s string) {
	h.t.Helper()
	if err := h.Send(s); err != nil {
		h.t.Fatal(err)
	}
}

// echoLen is how much of a line is looked for as its echo: longer lines may be
// broken by the line editor.
const echoLen = 40

// columns is the width of the terminal that the console assumes.
const columns = 80

// do types a line at the prompt and returns what it prints.
func (h *host) do(line string) string {
	h.t.Helper()
	h.key(line + "\r")
	h.seeRE(verbTime, echo(line[:min(len(line), echoLen)]))
	// The line editor breaks the echo at the edge of its terminal.
	for range 1 + (len(prompt)+len(line))/columns {
		h.see(verbTime, "\n")
	}
	// The output ends with a prompt at the start of a line, maybe the first.
	h.Unread("\n")
	out := h.see(verbTime, "\n"+prompt)
	return strings.Trim(out, "\n")
}

// echo matches what is typed as the console shows it: the hypervisor may put a
// line of its log between any two characters.
func echo(typed string) string {
	var b strings.Builder
	for _, c := range typed {
		b.WriteString(`(?:ringo: [^\n]*\n)*` + regexp.QuoteMeta(string(c)))
	}
	return b.String()
}

// ok is do for a line that must not fail.
func (h *host) ok(line string) string {
	h.t.Helper()
	out := h.do(line)
	if strings.Contains(out, "error: ") {
		h.t.Fatalf("%s: %s", line, out)
	}
	return out
}

// fails is do for a line that must fail with one line that has all the texts.
func (h *host) fails(line string, texts ...string) {
	h.t.Helper()
	out := h.do(line)
	for _, want := range append([]string{"error: "}, texts...) {
		if !strings.Contains(out, want) {
			h.t.Errorf("%s: %q does not say %q", line, out, want)
		}
	}
	if strings.Count(out, "\n") > 0 {
		h.t.Errorf("%s: more than one line: %q", line, out)
	}
}

// topLive sees top count twice by itself, and leaves it.
func (h *host) topLive() {
	h.t.Helper()
	h.key("top\r")
	for range 3 {
		h.see(verbTime, " (q leaves)")
		h.see(verbTime, "Domain-0 ")
	}
	h.key("q")
	h.see(verbTime, "\n"+prompt)
}

// attach opens the console of a guest; detach comes back.
func (h *host) attach(name string) {
	h.t.Helper()
	h.key("console " + name + "\r")
	h.seeRE(verbTime, echo("console "+name))
}

func (h *host) detach() {
	h.t.Helper()
	h.key("\x1d")
	h.see(verbTime, "\n"+prompt)
}

// shell waits, attached, for the demo guest's shell.
func (h *host) shell() {
	h.t.Helper()
	h.see(guestTime, rootfs.Ready)
	h.see(verbTime, "# ")
}

// sh runs a command in the guest's shell and returns its output. The marks
// around it are new each time, since attaching shows old output again, and are
// written so that the echo of the command does not hold them. The kernel is kept from
// writing between them: on a busy machine it has things to say at any time.
func (h *host) sh(command string) string {
	h.t.Helper()
	h.marks++
	h.key(fmt.Sprintf("dmesg -n 1; echo be''gin%d; %s; echo en''d%[1]d=$?\r", h.marks, command))
	h.see(verbTime, fmt.Sprintf("begin%d\n", h.marks))
	out := h.see(verbTime, fmt.Sprintf("end%d=", h.marks))
	if code := h.seeRE(verbTime, `^(\d+)\n`)[1]; code != "0" {
		h.t.Errorf("%s: exit status %s: %s", command, code, out)
	}
	h.see(verbTime, "# ")
	return strings.TrimRight(out, "\n")
}

// configWrite has QEMU's monitor write a register of a PCI function by the ports 0xcf8
// and 0xcfc. hv uses them at any time, so the machine stands still meanwhile, and finds
// the address that it has set itself.
func (h *host) configWrite(address uint32, write string) {
	h.t.Helper()
	monitor := func(line, want string) string {
		text, err := h.Monitor.HMP(line)
		m := regexp.MustCompile(want).FindStringSubmatch(strings.TrimSpace(text))
		if err != nil || m == nil {
			h.t.Fatalf("%s: %q, %v", line, text, err)
		}
		return m[len(m)-1]
	}
	monitor("stop", "^$")
	old := monitor("i/w 0xcf8", `= (0x[0-9a-f]+)$`)
	monitor(fmt.Sprintf("o/w 0xcf8 %#x", address), "^$")
	monitor(write, "^$")
	monitor("o/w 0xcf8 "+old, "^$")
	monitor("cont", "^$")
}

// poweroff switches the machine off and checks that it says so.
func (h *host) poweroff() {
	h.t.Helper()
	h.key("poweroff\r")
	s, err := h.Wait(endTime)
	if err != nil || s.End != emu.Poweroff {
		h.t.Errorf("poweroff: %+v, %v", s, err)
	}
}

// info is the output of the verb info, by name.
func (h *host) info() map[string]string {
	h.t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(h.ok("info")) {
		if k, v, ok := strings.Cut(line, ":"); ok {
			all[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	return all
}

// free is the free memory in bytes.
//
// The verb disks waits until all drivers of dom0 have started: page tables grow by the
// registers that they map.
func (h *host) free() uint64 {
	h.t.Helper()
	h.do("disks")
	n, err := strconv.ParseUint(h.info()["free_bytes"], 10, 64)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// row is the row of list for a domain: its id, MiB, vCPUs, state and seconds.
type row struct {
	id, mem, vcpus int
	state          string
	seconds        float64
}

// list is the output of the verb list, by name.
func (h *host) list() map[string]row {
	h.t.Helper()
	rows := map[string]row{}
	for i, line := range strings.Split(h.ok("list"), "\n") {
		f := strings.Fields(line)
		if i == 0 {
			if len(f) != 6 || f[0] != "Name" || f[5] != "Time(s)" {
				h.t.Fatalf("list: header %q", line)
			}
			continue
		}
		if len(f) != 6 {
			h.t.Fatalf("list: row %q", line)
		}
		r := row{state: f[4]}
		var errs [4]error
		r.id, errs[0] = strconv.Atoi(f[1])
		r.mem, errs[1] = strconv.Atoi(f[2])
		r.vcpus, errs[2] = strconv.Atoi(f[3])
		r.seconds, errs[3] = strconv.ParseFloat(f[5], 64)
		for _, err := range errs {
			if err != nil {
				h.t.Fatalf("list: row %q: %v", line, err)
			}
		}
		rows[f[0]] = r
	}
	return rows
}
