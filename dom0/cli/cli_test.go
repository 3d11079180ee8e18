// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/api"
	"ringo/hv/abi"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}

// transcript runs lines and returns them with their output and status.
func (r *rig) transcript(lines ...string) string {
	var b bytes.Buffer
	for _, l := range lines {
		fmt.Fprintf(&b, "ringo# %s\n", l)
		if st := r.Run(l, &b); st != 0 {
			fmt.Fprintf(&b, "(status %d)\n", st)
		}
	}
	return b.String()
}

// A whole session on the host console: keys in, bytes out.
func TestSession(t *testing.T) {
	var notify func(string)
	r := newRig(t, func(s string) { notify(s) })
	notify = r.host().Notify
	free := r.Free()
	at := r.wait(t, 0, "ringo# ")
	for _, step := range []struct{ keys, want string }{
		{"xl list\n", "\r\nringo# "},
		{"create demo.toml\n", "created \"demo\" (id 1)\r\nringo# "},
		{"list\n", "\r\nringo# "},
		{"con\tde\t\n", "console=ttyS0\r\n# "},
		{"uname\r", "Linux\r\n# "},
		{"\x1d", "\r\nringo# "},
		{"create name=g kernel=boot:vmlinuz cmdline=\"quiet ro\" memory=32MiB -c\r\n", "quiet ro\r\n# "},
		{"\x1d", "\r\nringo# "},
		{"console demo\n", "uname\r\nLinux\r\n# "},
		{"crash\r", "domain \"demo\" crashed: triple fault at 0xffffffff81000000: destroying it\r\nthe console of \"demo\" is closed\r\nringo# "},
		{"pause g\n", "\r\nringo# "},
		{"list\n", "\r\nringo# "},
		{"destory g\n", "\r\nringo# "},
		{"\x1b[A\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7fdestroy g\n", "\r\nringo# "},
		{"list\n", "\r\nringo# "},
	} {
		r.Type(step.keys)
		at = r.wait(t, at, step.want)
		if strings.HasPrefix(step.keys, "crash") {
			r.left(t, 1) // it is being destroyed meanwhile
		}
	}
	if r.Free() != free {
		t.Errorf("%d bytes leaked", free-r.Free())
	}
	golden(t, "session", strings.ReplaceAll(r.Output(), "\x1b", "<ESC>"))
	r.Type("poweroff\n")
	for len(r.Powered()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if d := cmp.Diff([]abi.Power{abi.PowerOff}, r.Powered()); d != "" {
		t.Error(d)
	}
}

func TestVerbs(t *testing.T) {
	r := newRig(t, nil)
	r.figures()
	golden(t, "verbs", r.transcript(
		"create -p demo.toml",
		"create -p name=web2 kernel=boot:vmlinuz memory=32MiB cpus=0-1 cpu_weight=100",
		"list", "list demo", "list -v", "list -l web2", "list --all", "xl list 2",
		"domid web2", "domname 1", "domstate demo", "dominfo demo", "vcpu-list",
		"vcpu-pin demo all 0-2", "vcpu-pin demo 1 ^0", "vcpupin Domain-0 0 3", "vcpu-list", "vcpu-pin demo all all", "vcpu-list demo",
		"sched-credit", "sched-credit -d demo -w 512 -c 150", "sched-credit demo", "sched-credit demo -w 300 -c 20", "sched-credit -d demo", "sched-credit -d Domain-0 -w 300", "sched-credit -s", "sched-credit -s -t 12.5", "sched-credit -s",
		"rename demo shop", "uptime", "uptime shop",
		"files", "disks", "disks -v", "files disk:", "nics", "nics -v", "ip", "ntp", "fetch", "info", "version", "debug-keys hq", "dmesg", "top", "top -1", "stats", "stats shop", "trace", "trace 3",
		"pci", "pci -v", "lspci -x 01:01.0",
		"create -p name=many kernel=boot:vmlinuz memory=8 vcpus=2 max_vcpus=4 topology=1:4:1", "list many", "dominfo many", "vcpu-list many",
		"vcpu-set many 3", "vcpu-set many 5", "vcpu-set many 0", "unpause many", "vcpu-set many 3", "vcpu-set Domain-0 2", "destroy many",
		"leases", "network-list", "network-create a", "network-create a", "network-create A", "network-destroy b", "network-destroy default",
		"create -p name=n1 kernel=boot:vmlinuz memory=8 nic=private:a,mtu=9000,vlan=7 nic=private:b,trunk=3,trunk=4 nic=none",
		"create -p name=n2 kernel=boot:vmlinuz memory=8 nic=private:a,mac=52:54:00:00:00:02,link=down", "network-list", "network-list -v n2",
		"create -n name=n3 kernel=boot:vmlinuz memory=8 nic=private:b,mac=52:54:00:00:00:02", "create -n name=n3 kernel=boot:vmlinuz memory=8 nic=default",
		"create -n name=n3 kernel=boot:vmlinuz memory=8 nic=bridge:net7", "create -n name=n3 kernel=boot:vmlinuz memory=8 nic=privat:b",
		"create -n name=n3 kernel=boot:vmlinuz memory=8 nic=private:b nic=private:b nic=private:b nic=private:b nic=private:b nic=private:b nic=private:b",
		"network-link n2.0 up", "network-link n1.2 up", "network-link n2.1 down", "network-destroy a", "rename n2 n4", "network-list n4", "dominfo n4",
		"destroy n1", "destroy n4", "network-list", "network-destroy a", "network-list",
		"destroy shop", "destroy web2", "list",
		"restart",
	))
	if d := cmp.Diff([]abi.Power{abi.PowerReboot}, r.Powered()); d != "" {
		t.Error(d)
	}
}

// top on a console counts again at each key; what follows q is a command.
func TestTop(t *testing.T) {
	r := newRig(t, nil)
	r.figures()
	r.host()
	at := r.wait(t, 0, "ringo# ")
	r.Type("create -p demo.toml\n")
	at = r.wait(t, at, "(id 1)\r\nringo# ")
	r.Type("top\n")
	at = r.wait(t, at, "\x1b[H\x1b[J\x1b[Hringo up 1:01:01: 4 CPUs, 0.0% idle; 2 domains (q leaves)\x1b[K\r\n400 MiB, ")
	at = r.wait(t, at, "Domain-0               r-----      36.6    1.0      128     1         3       0\x1b[K\r\ndemo ")
	r.Update(1, func(d *abi.DomainInfo) {
		d.CPUTimeNS, d.Exits, d.Forwards = 5e9, 400, 20
		r.Machine.Host.UptimeNS += 10e9
		r.Machine.Host.IdleNS += 35e9
	})
	r.Type(" ")
	at = r.wait(t, at, "ringo up 1:01:11: 4 CPUs, 87.5% idle; ")
	at = r.wait(t, at, "demo                   --p---       5.0   50.0       64     2        40       2\x1b[K\r\nDomain-0 ")
	r.Type("qdomid demo\n")
	at = r.wait(t, at, "\r\nringo# domid demo\r\n1\r\nringo# ")
	r.Type("top\n")
	at = r.wait(t, at, "\x1b[K\x1b[J")
	r.Type("\x03top -1\n")
	r.wait(t, r.wait(t, at, "Forwards\r\nDomain-0"), "\r\nringo# ")
}

// More domains than there is room for: the table says so in its last line.
func TestTopLong(t *testing.T) {
	for n, want := range map[int]string{19: "g ", 20: "g ", 21: "and 2 more: top -1 shows all", 200: "and 181 more: top -1 shows all"} {
		s := sample{domains: map[uint32]api.Domain{}}
		for id := range uint32(n) {
			s.domains[id], s.order = api.Domain{Name: "g"}, append(s.order, id)
		}
		lines := strings.Split(strings.TrimSuffix(s.live(sample{}, 23), "\n"), "\n")
		last := lines[len(lines)-1]
		if len(lines) != min(n, 20)+3 || len(lines) > 23 || !strings.HasPrefix(last, want) {
			t.Errorf("%d domains: %d lines, the last %q", n, len(lines), last)
		}
	}
}

// Definitions are kept beside the domains.
func TestDefine(t *testing.T) {
	r := newRig(t, nil)
	golden(t, "define", r.transcript(
		"define demo.toml", "define name=web kernel=boot:vmlinuz memory=32MiB", "list", "list -a", "list web", "list --all -v",
		"dominfo web", "domstate web", "console web", "destroy web", "start wbe", "create demo.toml",
		"start -p web", "list --all", "dominfo web", "start web", "vcpu-set web 1", "mem-set web 64", "status", "edit web memory=64 vcpus=2", "list -a web", "edit web memroy=64", "edit web name=x",
		"destroy web", "list --all", "vcpu-set web 3", "mem-set web 1GiB", "list -a", "autostart web", "autostart --disable web", "rename web shop", "edit shop", "define -",
		"list -l shop", "undefine shop", "undefine shop", "undefine demo", "list --all",
	))
}

func TestDumps(t *testing.T) {
	r := newRig(t, nil)
	golden(t, "dumps", r.transcript(
		"dumps", "dump-core x", "dumps x", "dumps -x x", "dumps -d x", "dumps -x",
		"create -p demo.toml", "dump-core demo", "destroy demo", "dumps", "dumps demo", "dumps -x demo", "dumps -x demo 0x2000 8192",
		"dumps -x demo x", "dumps -x demo 0x7fffffff", "dumps -d demo", "dumps",
	))
}

// A configuration is typed or pasted, up to a dot.
func TestEdit(t *testing.T) {
	r := newRig(t, nil)
	r.host()
	at := r.wait(t, 0, "ringo# ")
	for _, step := range []struct{ keys, want string }{
		{"define -\n", "\r\n> "},
		{"name = \"web\"\n[boot]\n\tkernel = \"boot:vmlinuz\"\n.\n", "defined \"web\"\r\nringo# "},
		{"edit web\n", "kernel = 'boot:vmlinuz'\r\ntype or paste a configuration, then a line with a dot; Ctrl-C leaves\r\n> "},
		{"memory = \"48MiB\"\nvcpus = 3\n[boot]\nkernel = \"boot:vmlinuz\"\ncmdline = \"list\"\n.\n", "defined \"web\" again\r\nringo# "},
		{"edit web\n", "cmdline = 'list'\r\n"},
		{"memroy = \"48MiB\"\n.\n", "error: web:1: unknown key \"memroy\" (did you mean \"memory\"?)\r\nringo# "},
		{"edit web\n.\n", "\"web\" is as it was\r\nringo# "},
		{"edit web\n\x03", "error: left with Ctrl-C: nothing is changed\r\nringo# "},
		{"list --all\n", "48     3     off"},
		{"create -\nname = \"now\"\nmemory = 16\n[boot]\nkernel = \"boot:vmlinuz\"\n.\n", "created \"now\" (id 1)\r\nringo# "},
	} {
		r.Type(step.keys)
		at = r.wait(t, at, step.want)
	}
}

// figures gives the machine figures to show.
func (r *rig) figures() {
	r.Machine.Host.UptimeNS = 3661e9
	r.Machine.Host.HVBytes = 11<<20 + 1
	r.Update(0, func(d *abi.DomainInfo) { d.CPUTimeNS = 36.6e9; d.Exits = 12345 })
	r.SetTrace([]abi.TraceRecord{{TSC: 1000, RIP: 0xffffffff81000000, Domain: 1, Info: 5}, {TSC: 4000, Reason: 1, VCPU: 1}, {TSC: 5000, Reason: 9}})
	r.SetExits(0, 30, 6600, 255)
	r.SetExits(1, 10, 21000, 4095)
	r.PCI = []abi.PCIFunction{
		{Addr: 0, Class: 0x060000, Vendor: 0x8086, Device: 0x29c0},
		{Addr: 8, Class: 0x060400, Vendor: 0x1b36, Device: 0xc, Header: 1, Secondary: 1, Subordinate: 2},
		{Addr: 0x108, Class: 0x010802, Vendor: 0x1b36, Device: 0x10, Revision: 2, Subvendor: 0x1af4, Subdevice: 0x1100, Flags: abi.PCIStopped | abi.PCIExtended,
			BAR: [6]abi.PCIBAR{{Addr: 0xe0 << 32, Size: 16 << 10, Flags: abi.BARPresent | abi.BAR64 | abi.BARPrefetch}, {},
				{Addr: 0xc000, Size: 32, Flags: abi.BARPresent | abi.BARPort}, {Size: 1 << 21, Flags: abi.BARPresent}}},
		{Addr: 0x1_0000, Class: 0x030000, Vendor: 0x1234, Device: 0x1111, Flags: abi.PCIMaster},
	}
	r.Config = map[abi.PCIAddr]map[uint16]uint32{0x108: {
		0: 0x00101b36, 4: 0x00100003, 0x34: 0x40, 0x40: 0x0040_5011, 0x50: 0x0002_0010, 0x100: 0x0001_0001,
	}}
}

func TestErrors(t *testing.T) {
	r := newRig(t, nil)
	golden(t, "errors", r.transcript(
		"", "   ", "xl", // nothing is no error
		"lsit", "frobnicate", "save web1 5", "xl reboot demo",
		"create", "create -x demo.toml", "create nope.toml", "create dmeo.toml", "create bad.toml", "create disk.toml",
		"create demo.toml bad.toml", "create demo.toml memroy=5", "create demo.toml memory=lots",
		"create demo.toml memory=1GiB", "create name=g", "create name=G kernel=boot:vmlinuz",
		"create name=g kernel=vmlinuz", "create name=g kernel=boot:initrd.gz", "create -c demo.toml",
		"create -n demo.toml", "create -n demo.toml vcpus=99",
		"create demo.toml", "create demo.toml", "create -n demo.toml",
		"console", "console a b", "console demo", "console Domain-0",
		"destroy", "destroy dmeo", "destroy Domain-0", "destroy 77", "pause x", "unpause x", "rename demo", "rename demo X",
		"rename demo demo", "domid x", "list x", "list -z", "shutdown demo", "shutdown -w -F x", "trigger demo smi", "trigger demo nmi x", "trigger demo nmi 9", "reset x", "dmesg x",
		"sched-credit -w 5", "sched-credit demo -t 5", "sched-credit -s -t 0.4", "sched-credit -s -t 101", "sched-credit -s -t many", "sched-credit -t 5", "sched-credit -s -w 5", "sched-credit -d demo demo", "sched-credit -d demo -w many", "sched-credit -d demo -w", "sched-credit -d demo -c 900",
		"sched-credit -d demo -w 0", "vcpu-pin demo 0", "vcpu-pin demo one 1", "vcpu-pin demo 2 1", "vcpu-pin demo 0 9", "vcpu-pin demo 0 x", "trace x", "trace 9", "stats x", "pci x", "pci 00:1f.2", "pci -y", "help nope", "debug-keys",
		"block-list", "block-attach demo nvme0n1", "block-attach demo disk=nvme0n1", "block-detach demo", "block-detach demo nvme0n1", "block-limit demo nvme0n1", "block-limit demo nvme0n1 iops=5", "network-attach demo private:a mtu=9000", "network-attach demo fast=yes", "network-detach demo", "network-detach demo 1", "block-resize demo", "block-resize demo nvme0n1", "disks x", "disk-hash", "disk-hash nvme0n1", "disk-hash nvme0n1 many", "disk-speed -s 0 nvme0n1", "disk-speed nvme0n1", "disk-test nvme0n1", "disk-test nvme0n1 1 some", "disk-test nvme0n1 1 1",
		"files nowhere/", "files disk:nvme0n1p1/", "create name=g kernel=disk:nvme0n1p1/vmlinuz", "create name=g kernel=net:vmlinuz", "create name=g kernel=http://10.0.0.1/vmlinuz",
		"ping", "ping 10.0.0.1", "ping -c 0 10.0.0.1", "ping -s 2000 10.0.0.1", "ping -c many 10.0.0.1", "net-speed", "net-speed 10.0.0.1:5001", "net-speed -s -p 10.0.0.1", "net-speed -n 0 10.0.0.1:5001", "ntp -s", "ntp x", "fetch http://10.0.0.1/x", "fetch http://10.0.0.1/x x", "fetch -d x", "fetch -d", "fetch -d x y",
		`list "demo`, `list demo\`, "uptime x",
		"destroy demo", "list",
	))
}

func TestHelp(t *testing.T) {
	r := newRig(t, nil)
	lines := []string{"help"}
	for i := range verbs {
		v := &verbs[i]
		lines = append(lines, "help "+v.name)
		if v.short == "" || v.run == nil || v.most >= 0 && v.most < v.least || v.args == "" && (v.most != 0 || v.flags != "") {
			t.Errorf("the row of %s", v.name)
		}
		for _, f := range strings.ReplaceAll(v.flags, ":", "") {
			if f != 'a' && f != 't' && // refused with a reason
				!strings.Contains(v.args, "-"+string(f)) {
				t.Errorf("%s: -%c is not in the usage", v.name, f)
			}
		}
		for _, name := range append([]string{v.name}, v.alias...) {
			if find(name) != v {
				t.Errorf("%s finds another verb", name)
			}
		}
	}
	golden(t, "help", r.transcript(lines...))
	for _, name := range later {
		if find(name) != nil {
			t.Errorf("%s is both available and not", name)
		}
	}
}

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		`create name=g cmdline="console=ttyS0 quiet"`: {"create", "name=g", "cmdline=console=ttyS0 quiet"},
		"  a\tb  ":              {"a", "b"},
		`a '' "" 'x "y' "x 'y"`: {"a", "", "", `x "y`, `x 'y`},
		`a\ b "c\"d" 'e\f'`:     {"a b", `c"d`, `e\f`},
		``:                      nil,
	} {
		got, err := split(line)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%q: %v %s", line, err, d)
		}
	}
}

func TestComplete(t *testing.T) {
	r := newRig(t, nil)
	r.Run("create -p demo.toml", &bytes.Buffer{})
	r.Run("define demo.toml name=web", &bytes.Buffer{})
	for _, c := range []struct {
		line string
		from int
		want []string
	}{
		{"des", 0, []string{"destroy"}},
		{"xl re", 3, []string{"resume", "reboot", "reset", "rename", "restart"}},
		{"start ", 6, []string{"web"}},
		{"destroy d", 8, []string{"demo"}},
		{"destroy ", 8, []string{"Domain-0", "demo"}},
		{"create de", 7, []string{"demo.toml", "debug_exit="}},
		{"create boot:d", 7, []string{"boot:demo.toml", "boot:disk.toml"}},
		{"create ke", 7, []string{"kernel="}},
		{"create name=g kernel=boot:v", 14, []string{"kernel=boot:vmlinuz"}},
		{"create memory=b", 7, nil},
		{"help po", 5, []string{"poweroff"}},
		{"info ", 5, nil},
		{"nonsense d", 9, nil},
	} {
		from, got := r.Complete(c.line)
		if d := cmp.Diff(c.want, got); from != c.from || d != "" {
			t.Errorf("%q: from %d %s", c.line, from, d)
		}
	}
}

func TestDuration(t *testing.T) {
	for s, want := range map[int64]string{-5: "0:00:00", 59: "0:00:59", 3661: "1:01:01", 90061: "1 day, 1:01:01", 180000: "2 days, 2:00:00"} {
		if got := duration(time.Duration(s) * time.Second); got != want {
			t.Errorf("%d: %q", s, got)
		}
	}
}
