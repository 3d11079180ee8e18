// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/tools/emu"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestSettings(t *testing.T) {
	got, err := settings(env("SMP", "4", "MEM", "6144", "FILES", "x/a  y/b.toml", "HVARGS", "loglvl=all noreboot",
		"BOOT", "iso", "ACCEL", "tcg", "IOMMU", "amd",
		"DISKS", "main.go run_test.go", "DISKBUS", "virtio", "NIC", "e1000e", "HOSTFWD", "2222:22", "QEMU_ARGS", "-s -drive 'file=a b'"))
	want := emu.Config{
		SMP: 4, MemMiB: 6144, HVArgs: "loglvl=all noreboot", Boot: emu.BootISO, Accel: emu.TCG, IOMMU: emu.AMD,
		Disks: []string{"main.go", "run_test.go"}, DiskBus: emu.Virtio,
		NIC: emu.E1000E, Forwards: []string{"2222:22"},
		Args:    []string{"-s", "-drive", "file=a b"},
		Modules: []emu.Module{{Name: "a", Path: "x/a"}, {Name: "b.toml", Path: "y/b.toml"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	got, err = settings(env("ACCEL", "tcg", "IOMMU", "none", "DISKBUS", "nvme"))
	if diff := cmp.Diff(emu.Config{SMP: 2, MemMiB: 2048, Boot: emu.BootKernel, Accel: emu.TCG, NIC: emu.VirtioNIC}, got); diff != "" || err != nil {
		t.Errorf("defaults: %v\n%s", err, diff)
	}
}

func TestSettingsRefuse(t *testing.T) {
	for _, c := range [][2]string{{"SMP", "two"}, {"SMP", "0"}, {"MEM", "-1"}, {"BOOT", "floppy"}, {"ACCEL", "hax"}, {"BACKEND", "hvf"}, {"IOMMU", "via"}, {"DISKS", "missing.img"}, {"DISKBUS", "scsi"}, {"NIC", "rtl8139"}, {"HOSTFWD", "22"}, {"HOSTFWD", "x:22"}, {"SERVER", "web"}, {"QEMU_ARGS", "'"}} {
		if _, err := settings(env(c[0], c[1])); err == nil || !strings.Contains(err.Error(), c[0]) {
			t.Errorf("%s=%s: %v", c[0], c[1], err)
		}
	}
}

// What QEMU has and Bochs has not.
func TestSettingsBochs(t *testing.T) {
	got, err := settings(env("ACCEL", "bochs", "BACKEND", "vmx", "SMP", "1"))
	if diff := cmp.Diff(emu.Config{SMP: 1, MemMiB: 2048, Boot: emu.BootISO, Accel: emu.InBochs}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := settings(env("ACCEL", "bochs", "BOOT", "iso")); err != nil {
		t.Error(err)
	}
	if got, err := settings(env("ACCEL", "bochs", "DISKS", "main.go")); err != nil || got.DiskBus != emu.IDE || len(got.Disks) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := settings(env("ACCEL", "bochs", "DISKS", "main.go", "DISKBUS", "nvme")); err == nil || !strings.Contains(err.Error(), "DISKBUS=nvme") {
		t.Error(err)
	}
	for _, c := range [][2]string{{"BOOT", "kernel"}, {"BOOT", "pxe"}, {"QEMU_ARGS", "-s"}, {"IOMMU", "intel"}, {"NIC", "e1000"}, {"BACKEND", "svm"}} {
		if _, err := settings(env("ACCEL", "bochs", c[0], c[1])); err == nil || !strings.Contains(err.Error(), c[0]) {
			t.Errorf("%s=%s: %v", c[0], c[1], err)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		end  emu.End
		code int
		want int
	}{{emu.Poweroff, 0, 0}, {emu.Reset, 0, statusReset}, {emu.Killed, -1, statusFailed}, {emu.Exited, 1, statusFailed}, {emu.Exited, 0, statusFailed}} {
		got, err := verdict(emu.Status{End: c.end, Code: c.code})
		if got != c.want || (err == nil) != (got == 0) {
			t.Errorf("%s %d: %d, %v", c.end, c.code, got, err)
		}
	}
}

// keys collects what is typed.
type keys struct{ strings.Builder }

func (k *keys) Send(s string) error { k.WriteString(s); return nil }

func TestCopyKeys(t *testing.T) {
	for _, c := range []struct {
		in   string
		quit bool
		want string
	}{
		{"list\r\x01\x03\x1d", false, "list\r\x01\x03\x1d"},
		{"\x1c\x1cx\x1c\x1c", false, "\x1c\x1cx\x1c\x1c"},
		{"a\x1c\x1c\x1cb", true, ""},
	} {
		var k keys
		if quit := copyKeys(&k, strings.NewReader(c.in)); quit != c.quit || k.String() != c.want {
			t.Errorf("%q: %v %q", c.in, quit, k.String())
		}
	}
}

func TestTypeSlowly(t *testing.T) {
	var k keys
	in := "create demo.toml\nconsole demo\n\x1dpoweroff\n"
	typeSlowly(&k, strings.NewReader(in), 0)
	if diff := cmp.Diff(strings.ReplaceAll(in, "\n", "\r"), k.String()); diff != "" {
		t.Error(diff)
	}
}

func TestPrompt(t *testing.T) {
	for s, want := range map[string]bool{
		"ringo: hypervisor\nringo# ": true, "lab-3.example# ": true, "x\n# ": false, "#  Name": false, "ringo: a# ": false,
	} {
		if got := prompt.MatchString(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}
