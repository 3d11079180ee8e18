// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"ringo/hv/abi"
)

// The file of the documentation, key by key.
func TestParse(t *testing.T) {
	data, err := os.ReadFile("testdata/web1.toml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("web1.toml", data)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Name: "web1", VCPUs: 2, Memory: Size{512 << 20}, CPUWeight: 100, Cap: 50, CPUs: "0-3,^1",
		OnPoweroff: Preserve, OnReboot: Destroy, OnCrash: Restart, RNG: true,
		Boot: Boot{Kernel: "boot:vmlinuz", Initrd: "boot:initrd.gz", Cmdline: "console=ttyS0"},
		Disk: []Disk{{Volume: "pool0/web1"}, {Image: "boot:disk.img", Snapshot: true}},
		NIC:  []NIC{{Network: "default", MAC: "52:54:00:12:34:56"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	// The API and the store give the same configuration back.
	b, err := json.Marshal(got)
	again := new(Config)
	if err != nil || json.Unmarshal(b, again) != nil {
		t.Fatal(err, string(b))
	}
	if d := cmp.Diff(want, again); d != "" {
		t.Error("JSON:", d)
	}
	b, err = toml.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	again, err = Parse("x.toml", b)
	if d := cmp.Diff(want, again); err != nil || d != "" {
		t.Error("TOML:", err, d)
	}
}

func TestDefaults(t *testing.T) {
	got, err := Parse("boot:dir/web-2.toml", nil)
	want := Default()
	want.Name = "web-2"
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Error(err, d)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"name = \"a\"\nmemroy = 5", `d.toml:2: unknown key "memroy" (did you mean "memory"?)`},
		{"kernel = \"x\"", `d.toml:1: unknown key "kernel" (did you mean "boot.kernel"?)`},
		{"\n\n[boot]\nkernle=\"x\"", `d.toml:4: unknown key "boot.kernle" (did you mean "boot.kernel"?)`},
		{"[boots]\nkernel=\"x\"", `d.toml:1: unknown key "boots" (did you mean "boot"?)`},
		{"[[disk]]\nvolum=\"x\"", `d.toml:2: unknown key "disk.volum" (did you mean "disk.volume"?)`},
		{"[boot]\nroot=\"x\"", `d.toml:2: unknown key "boot.root" (known: kernel, initrd, cmdline, modules, firmware)`},
		{"vcpus = \"x\"", `d.toml:1: vcpus: want a whole number`},
		{"vcpus = 1.5", `d.toml:1: vcpus: want a whole number`},
		{"name = 5", `d.toml:1: name: want a string in quotes`},
		{"disk = 5", `d.toml:1: disk: want tables in double brackets, [[...]]`},
		{"boot = 5", `d.toml:1: boot: want a table`},
		{"vcpus=1\nmemory=\"5q\"", `d.toml:2: memory: "5q" is not a size: write 512MiB, 1GiB or a number of MiB`},
		{"vcpus=1\nmemory=1.5", `d.toml:2: memory: "1.5" is not a size: write 512MiB, 1GiB or a number of MiB`},
		{"vcpus=1\nmemory=-5", `d.toml:2: memory: "-5" is not a size: write 512MiB, 1GiB or a number of MiB`},
		{"\nname = \"a", `d.toml:2: unterminated basic string`},
		{"name=\"a\"\nname=\"b\"", `d.toml:2: name: key name is already defined`},
		{"\x00\xff", `d.toml:1: invalid character at start of key: U+0000`},
	} {
		_, err := Parse("d.toml", []byte(c.text))
		if err == nil || err.Error() != c.want {
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint64
		str  string
	}{
		{"512", 512 << 20, "512MiB"}, {"512MiB", 512 << 20, "512MiB"}, {"1024 MiB", 1 << 30, "1GiB"},
		{"448M", 448 << 20, "448MiB"}, {"4KiB", 4096, "4KiB"}, {"2GiB", 2 << 30, "2GiB"}, {"3T", 3 << 40, "3TiB"},
	} {
		got, err := ParseSize(c.text)
		if err != nil || got.Bytes != c.want || got.String() != c.str {
			t.Errorf("%q: %d %q %v", c.text, got.Bytes, got, err)
		}
	}
	for _, s := range []string{"", "MiB", "-1", "1.5GiB", "5MB", "5mib", "99999999TiB", "18446744073709551615", "M5", "0x10"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("%q accepted as %v", s, got)
		}
	}
}

func TestCPUs(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want uint64
	}{
		{"", 4, 0}, {"all", 4, 0}, {"0-3,^1", 4, 0b1101}, {"2", 4, 4}, {"0,2", 4, 5}, {"^0", 4, 0b1110},
		{"0-63", 64, ^uint64(0)}, {"63", 64, 1 << 63}, {"^63", 64, 1<<63 - 1}, {" 1 , 3 ", 4, 0b1010},
	} {
		if got, err := ParseCPUs(c.text, c.n); err != nil || got != c.want {
			t.Errorf("%q of %d: %#x %v", c.text, c.n, got, err)
		}
	}
	for _, s := range []string{"4", "3-1", "a", "1,,2", "0,^0", "-1", "0-", "99999999999", "^0-3"} {
		if got, err := ParseCPUs(s, 4); err == nil {
			t.Errorf("%q accepted as %#x", s, got)
		}
	}
}

func TestAffinity(t *testing.T) {
	for _, c := range []struct {
		text  string
		vcpus int
		want  []uint64
		again string
	}{
		{"", 2, []uint64{0, 0}, ""}, {"1", 3, []uint64{2, 2, 2}, "1"}, {"0/1-2", 2, []uint64{1, 6}, "0/1-2"},
		{"0/1", 4, []uint64{1, 2, 2, 2}, "0/1"}, {"0/all/1", 3, []uint64{1, 0, 2}, "0/all/1"}, {"/1", 2, []uint64{0, 2}, "/1"},
		{"0/0", 2, []uint64{1, 1}, "0"},
	} {
		got, err := ParseAffinity(c.text, c.vcpus, 4)
		if d := cmp.Diff(c.want, got); err != nil || d != "" {
			t.Errorf("%q: %v %s", c.text, err, d)
		}
		if again := JoinAffinity(SplitAffinity(c.text, c.vcpus)); again != c.again {
			t.Errorf("%q again is %q", c.text, again)
		}
	}
	for _, s := range []string{"0/1/2", "0/4", "0/x"} {
		if got, err := ParseAffinity(s, 2, 4); err == nil {
			t.Errorf("%q accepted as %#x", s, got)
		}
	}
}

func TestFormatCPUs(t *testing.T) {
	for _, c := range []struct {
		mask uint64
		n    int
		want string
	}{
		{0b1111, 4, "all"}, {0b1110, 4, "1-3"}, {0b1101, 4, "0,2-3"}, {4, 4, "2"}, {0b11, 4, "0-1"},
		{^uint64(0), 64, "all"}, {^uint64(0), 200, "all"}, {1 << 63, 64, "63"}, {1<<63 - 1, 64, "0-62"}, {1, 1, "all"},
	} {
		got := FormatCPUs(c.mask, c.n)
		if got != c.want {
			t.Errorf("%#x of %d: %q, want %q", c.mask, c.n, got, c.want)
		}
		if back, err := ParseCPUs(got, min(c.n, 64)); err != nil || back != c.mask && got != "all" {
			t.Errorf("%q: %#x, %v", got, back, err)
		}
	}
}

func TestParseTopology(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want abi.Topology
	}{
		{"", 5, abi.Topology{}}, {"1:1:1", 1, abi.Topology{Cores: 1, Threads: 1}}, {"2:3:2", 12, abi.Topology{Cores: 3, Threads: 2}},
	} {
		if got, err := ParseTopology(c.text, c.n); err != nil || got != c.want {
			t.Errorf("%q of %d: %+v %v", c.text, c.n, got, err)
		}
	}
	for _, s := range []string{"4", "4:1", "1:4:1:1", "0:4:1", "-1:-4:1", "2:2:1x", "::", "65536:65536:65536", "3:1:1", " 1:4:1"} {
		if got, err := ParseTopology(s, 4); err == nil || len(err.Error()) > 120 {
			t.Errorf("%q is %+v, %v", s, got, err)
		}
	}
}

func TestSet(t *testing.T) {
	c := Default()
	for _, kv := range []string{
		"name=g", "kernel=boot:vmlinuz", "initrd=boot:i.gz", "cmdline=console=ttyS0 quiet", "memory=64MiB",
		"vcpus=3", "boot.kernel=boot:bzImage", "on_crash=preserve", "cpus=0",
		"disk=nvme0n1p2,serial=data", "disk=boot:x.img,snapshot", "disk=vd0,readonly",
		"nic=default", "nic=private:a,mac=52:54:00:00:00:01,trunk=3,trunk=4,mtu=9000,link=down,unfiltered", "nic=forward=tcp:80:8080,forward=udp:53:53",
	} {
		k, v, _ := strings.Cut(kv, "=")
		if err := c.Set(k, v); err != nil {
			t.Error(err)
		}
	}
	want := Default()
	want.Name, want.VCPUs, want.Memory, want.OnCrash, want.CPUs = "g", 3, Size{64 << 20}, Preserve, "0"
	want.Boot = Boot{Kernel: "boot:bzImage", Initrd: "boot:i.gz", Cmdline: "console=ttyS0 quiet"}
	want.Disk = []Disk{{Device: "nvme0n1p2", Serial: "data"}, {Image: "boot:x.img", Snapshot: true}, {Device: "vd0", ReadOnly: true}}
	want.NIC = []NIC{
		{Network: "default"}, {Network: "private:a", MAC: "52:54:00:00:00:01", Trunk: []int{3, 4}, MTU: 9000, Link: "down", Unfiltered: true},
		{Forward: []string{"tcp:80:8080", "udp:53:53"}},
	}
	if d := cmp.Diff(want, c); d != "" {
		t.Error(d)
	}
	for _, e := range []struct{ k, v, want string }{
		{"memroy", "5", `unknown key "memroy" (did you mean "memory"?)`},
		{"memory", "lots", `memory: "lots" is not a size: write 512MiB, 1GiB or a number of MiB`},
		{"vcpus", "two", `vcpus: "two" is not a whole number`},
		{"rng", "maybe", `rng: "maybe" is neither true nor false`},
		{"boot", "x", `boot cannot be given on the command line: write it in a file`},
		{"disk", "x,fast", `disk: "fast" is not known: write SOURCE,readonly or SOURCE,snapshot or SOURCE,serial=TEXT,iops=NUMBER,bps=SIZE`},
		{"nic", "default,mac", `nic: "mac" is not known: write NETWORK,mac=MAC,mtu=BYTES,vlan=VLAN,trunk=VLAN,forward=tcp:2222:22,link=down,slot=NUMBER,rule=RULE (ports with commas in a file only),rate_in=SIZE,rate_out=SIZE,packets_in=NUMBER,packets_out=NUMBER,burst=SIZE or unfiltered`},
		{"nic", "mtu=big", `nic: mtu: "big" is not a whole number`},
		{"boot.kernel.x", "x", `boot.kernel.x: "x" is not a table`},
		{"", "x", `unknown key ""`},
	} {
		if err := c.Set(e.k, e.v); err == nil || err.Error() != e.want {
			t.Errorf("%s=%s: %v", e.k, e.v, err)
		}
	}
	for _, k := range Keys() {
		if err := c.Set(k, "1"); err != nil {
			t.Errorf("Keys has %q, but: %v", k, err)
		}
	}
}

func TestValidate(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Name = "" }, "name: missing: give name=NAME"},
		{func(c *Config) { c.Name = "17" }, `name: "17" is not a name: it would be taken for an id: add a letter`},
		{func(c *Config) { c.Name = "Web" }, `name: "Web" is not a name: use 1 to 63 of a-z, 0-9 and -`},
		{func(c *Config) { c.Name = long[:64] }, "is not a name"},
		{func(c *Config) { c.UUID = "5" }, "uuid: "},
		{func(c *Config) { c.VCPUs = 0 }, "vcpus: 0 is out of range: use 1 to 32"},
		{func(c *Config) { c.VCPUs = 33 }, "vcpus: 33 is out of range"},
		{func(c *Config) { c.Topology = "2" }, `topology: "2" is not sockets:cores:threads: write three numbers from 1 on, such as 1:1:1`},
		{func(c *Config) { c.Topology = "1:2:1" }, `topology: "1:2:1" makes 2 CPUs, and there are 1 (max_vcpus, or else vcpus): make them equal`},
		{func(c *Config) { c.VCPUs, c.MaxVCPUs = 4, 3 }, "max_vcpus: 3 is out of range: use 4 to 32"},
		{func(c *Config) { c.MaxVCPUs = 33 }, "max_vcpus: 33 is out of range: use 1 to 32"},
		{func(c *Config) { c.MaxVCPUs = -1 }, "max_vcpus: -1 is out of range"},
		{func(c *Config) { c.MaxVCPUs, c.Cap = 2, 201 }, "cap: 201 is out of range: use 0 to 200"},
		{func(c *Config) { c.CPUWeight = 65536 }, "cpu_weight: "},
		{func(c *Config) { c.Cap = -1 }, "cap: "},
		{func(c *Config) { c.Memory = Size{} }, "memory: "},
		{func(c *Config) { c.Memory = Size{4097} }, "memory: 4097 bytes is not a multiple of 4KiB"},
		{func(c *Config) { c.CPUs = "x" }, "cpus: "},
		{func(c *Config) { c.Hypervisor = "xen" }, `hypervisor: "xen" is not known: use ringo or kvm`},
		{func(c *Config) { c.OnReboot = "explode" }, `on_reboot: "explode" is not an action`},
		{func(c *Config) { c.OnPoweroff = CoredumpDestroy }, "on_poweroff: "},
		{func(c *Config) { c.OnCrash = "" }, "on_crash: "},
		{func(c *Config) { c.Boot.Firmware = "coreboot" }, "firmware: "},
		{func(c *Config) { c.Boot = Boot{Firmware: "bios", Kernel: "x"} }, "boot: "},
		{func(c *Config) { c.Boot.Initrd = "x" }, "boot: an initrd needs a kernel"},
		{func(c *Config) { c.Boot.Modules = []string{"x"} }, "boot: modules need a kernel"},
		{func(c *Config) { c.Boot.Kernel, c.Boot.Modules = "k", make([]string, 33) }, "modules: 33 are too many: at most 32"},
		{func(c *Config) { c.Boot.Kernel, c.Boot.Modules = "k", []string{"a", " b"} }, `modules: number 2 names no file: write "boot:NAME ARGUMENTS"`},
		{func(c *Config) { c.Boot.Kernel, c.Boot.Modules = "k", []string{"a b\nc"} }, "modules: number 1 must be one line"},
		{func(c *Config) { c.Boot.Kernel = long }, "boot: a file name is longer"},
		{func(c *Config) { c.Boot.Cmdline = long }, "cmdline: 5000 bytes are too long"},
		{func(c *Config) { c.Boot.Cmdline = "a\nb" }, "cmdline: must be one line"},
		{func(c *Config) { c.Disk = []Disk{{}} }, "disk 1: "},
		{func(c *Config) { c.Disk = []Disk{{Volume: "a", Image: "b"}} }, "disk 1: "},
		{func(c *Config) { c.Disk = []Disk{{}} }, "give one of device, image and volume"},
		{func(c *Config) { c.Disk = []Disk{{Device: "vd0", Image: "boot:x"}} }, "disk 1: give one of"},
		{func(c *Config) { c.Disk = []Disk{{Device: "vd0"}, {Image: "boot:x"}} }, "disk 2: image: files cannot be written: add readonly = true"},
		{func(c *Config) { c.Disk = []Disk{{Device: "vd0", ReadOnly: true, Snapshot: true}} }, "not both"},
		{func(c *Config) { c.Disk = []Disk{{Device: "vd0", Serial: "012345678901234567890"}} }, "serial: "},
		{func(c *Config) { c.Disk = []Disk{{Device: "vd0", Serial: "a\n"}} }, "serial: "},
		{func(c *Config) { c.Disk = make([]Disk, MaxDisks+1) }, "disk: 25 are too many: at most 24"},
	} {
		x := Default()
		x.Name = "ok"
		c.change(x)
		if err := x.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
}

func TestHypervisor(t *testing.T) {
	for _, s := range []string{"", "ringo", "kvm"} {
		c, err := Parse("a.toml", []byte("hypervisor = \""+s+"\""))
		if err != nil || c.Hypervisor != s || c.Validate() != nil {
			t.Errorf("%q: %+v, %v", s, c, err)
		}
	}
}

func TestUnsupported(t *testing.T) {
	for i, c := range []*Config{
		{Disk: []Disk{{Volume: "x"}}}, {Boot: Boot{Firmware: "bios"}},
	} {
		if !strings.Contains(c.Unsupported(), "not supported yet") {
			t.Errorf("%d: %q", i, c.Unsupported())
		}
	}
	if s := (&Config{Disk: []Disk{{Device: "vd0"}}, NIC: []NIC{{}}}).Unsupported(); s != "" {
		t.Error(s)
	}
	if s := Default().Unsupported(); s != "" {
		t.Error(s)
	}
}

func TestUUID(t *testing.T) {
	const s = "0123abcd-4567-89ab-cdef-0123456789ab"
	u, err := ParseUUID(strings.ToUpper(s))
	if err != nil || FormatUUID(u) != s {
		t.Error(u, err)
	}
	for _, bad := range []string{"", "0123abcd456789abcdef0123456789ab", s + "0", "x" + s[1:]} {
		if _, err := ParseUUID(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

// The largest valid configuration fits the record that hv keeps.
func TestFitsRecord(t *testing.T) {
	c := Default()
	c.Name, c.UUID = strings.Repeat("x", MaxName), FormatUUID([16]byte{})
	c.Boot = Boot{Kernel: strings.Repeat("k", maxFile), Initrd: strings.Repeat("i", maxFile), Cmdline: strings.Repeat("c", maxCmdline)}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(c); err != nil || len(b) > abi.RecordLen-512 {
		t.Error(len(b), err)
	}
}

// FuzzParse: no text makes the parser panic, and an error names the file and is
// one line.
func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("testdata/web1.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	for i := range 40 {
		f.Add(string(data[:len(data)*i/40]))
	}
	f.Add("memory = [1]\n[boot.kernel]\nx=1\n[[boot]]")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Parse("d.toml", []byte(s))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "d.toml:") || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "decoder failed") {
				t.Error(err)
			}
			return
		}
		_ = fmt.Sprint(c.Validate(), c.Unsupported())
	})
}

// A configuration as text is read as the same.
func TestTOML(t *testing.T) {
	c := Default()
	c.Name, c.CPUs, c.Hypervisor, c.DebugExit, c.RNG, c.Memory.Bytes = "web", "0-1", "kvm", true, false, 4096*5
	c.Boot = Boot{Kernel: "boot:k", Cmdline: `a "b" 'c' \`, Modules: []string{"boot:m x", "boot:n"}}
	text, err := c.TOML()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("other.toml", text)
	if d := cmp.Diff(c, got); err != nil || d != "" {
		t.Errorf("%v %s\n%s", err, d, text)
	}
}
