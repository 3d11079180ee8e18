// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQEMUArgs(t *testing.T) {
	base := Config{HV: "hv", Dir: "d", HVArgs: "loglvl=debug noreboot", SMP: 2, MemMiB: 2048, Args: []string{"-s"}}
	for _, c := range []struct {
		boot Boot
		s    stage
		want string
	}{
		{BootKernel, stage{kernel: "b/hv", modules: []string{"b/dom0", "b/a,b"}},
			"-nic none -kernel b/hv -initrd b/dom0,b/a,,b -append|loglvl=debug noreboot|-s"},
		{BootISO, stage{iso: "b/x.iso"},
			"-nic none -drive if=ide,media=cdrom,readonly=on,format=raw,file=b/x.iso -boot d -s"},
		{BootPXE, stage{tftp: "b"},
			"-netdev user,id=pxe,tftp=b,bootfile=boot.ipxe -device virtio-net-pci,netdev=pxe,bootindex=0 -s"},
		{BootUEFIUSB, stage{iso: "b/x.iso"},
			"-bios /usr/share/ovmf/OVMF.fd -nic none -drive if=none,id=stick,readonly=on,format=raw,file=b/x.iso " +
				"-device qemu-xhci -device usb-storage,drive=stick,bootindex=0 -s"},
		{BootUEFIPXE, stage{tftp: "b"},
			"-bios /usr/share/ovmf/OVMF.fd -netdev user,id=pxe,tftp=b,bootfile=ringo.efi " +
				"-device virtio-net-pci,netdev=pxe,bootindex=0,romfile= -fw_cfg name=opt/org.tianocore/IPv6PXESupport,string=n -s"},
	} {
		conf := base
		conf.Boot = c.boot
		conf, err := conf.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		got := conf.qemuArgs(c.s)
		for i, a := range got { // the only word with a space
			if strings.Contains(a, " ") {
				got[i-1] += "|" + a + "|" + got[i+1]
				got = append(got[:i], got[i+2:]...)
				break
			}
		}
		line := strings.Join(got, " ")
		if !strings.HasPrefix(line, "-machine q35 -accel tcg,thread=single -cpu max -m 2048 -smp 2 ") {
			t.Errorf("%s: starts %s", c.boot, line)
		}
		_, rest, _ := strings.Cut(line, "-serial chardev:com1 ")
		if diff := cmp.Diff(c.want, rest); diff != "" {
			t.Errorf("%s: %s", c.boot, diff)
		}
	}
}

func TestIOMMUArgs(t *testing.T) {
	for _, c := range []struct {
		iommu IOMMU
		accel Accel
		want  string
	}{
		{Intel, TCG, "-machine q35 -accel tcg,thread=single .* -device intel-iommu,intremap=on -serial "},
		{AMD, KVM, "-machine q35,kernel-irqchip=split -accel kvm.* -device amd-iommu,intremap=on -serial "},
	} {
		conf, err := Config{HV: "hv", Dir: "d", IOMMU: c.iommu, Accel: c.accel}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		if line := strings.Join(conf.qemuArgs(stage{}), " "); !regexp.MustCompile(c.want).MatchString(line) {
			t.Errorf("%s: %s", c.iommu, line)
		}
	}
}

func TestNICArgs(t *testing.T) {
	for _, c := range []struct {
		conf Config
		want string
	}{
		{Config{NIC: VirtioNIC}, "-netdev user,id=net0 -device virtio-net-pci,netdev=net0,romfile="},
		{Config{NIC: VirtioNIC, IOMMU: Intel}, "-netdev user,id=net0 -device virtio-net-pci,iommu_platform=on,netdev=net0,romfile="},
		{Config{NIC: E1000E, Forwards: []string{"2222:22"}}, "-netdev user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22 -device e1000e,netdev=net0,romfile="},
	} {
		c.conf.HV, c.conf.Dir = "hv", "d"
		conf, err := c.conf.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, strings.Join(conf.nicArgs(), " ")); diff != "" {
			t.Error(diff)
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	good := Config{HV: "hv", Dir: "d"}
	for name, change := range map[string]func(*Config){
		"no hv":        func(c *Config) { c.HV = "" },
		"NIC in Bochs": func(c *Config) { c.Accel, c.Boot, c.NIC = InBochs, BootISO, E1000E },
		"qcow2 in Bochs": func(c *Config) {
			c.Accel, c.Boot, c.Disks, c.DiskBus = InBochs, BootISO, []string{"a.qcow2"}, IDE
		},
		"three disks in Bochs": func(c *Config) {
			c.Accel, c.Boot, c.Disks, c.DiskBus = InBochs, BootISO, []string{"a", "b", "c"}, IDE
		},
		"forwards":       func(c *Config) { c.Forwards = []string{"1:2"} },
		"fifth serial":   func(c *Config) { c.COM = 5 },
		"no dir":         func(c *Config) { c.Dir = "" },
		"negative smp":   func(c *Config) { c.SMP = -1 },
		"icount and kvm": func(c *Config) { c.Accel, c.ICount = KVM, true },
		"IOMMU in Bochs": func(c *Config) { c.Accel, c.Boot, c.IOMMU = InBochs, BootISO, Intel },
		"space in name":  func(c *Config) { c.Modules = Modules("/x/a b") },
		"same name":      func(c *Config) { c.Modules = Modules("/x/a", "/y/a") },
		"named hv":       func(c *Config) { c.Modules = Modules("/x/hv") },
		"named grub.cfg": func(c *Config) { c.Modules = Modules("/x/grub.cfg") },
	} {
		c := good
		change(&c)
		if _, err := c.withDefaults(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := good.withDefaults(); err != nil {
		t.Error(err)
	}
}

func TestScripts(t *testing.T) {
	mods := Modules("x/dom0", "x/vmlinuz")
	if diff := cmp.Diff("#!ipxe\nkernel hv a=1 b\nmodule dom0\nmodule vmlinuz\nboot\n", ipxeScript("a=1 b", mods)); diff != "" {
		t.Error(diff)
	}
	want := "set timeout=0\nmultiboot2 $cmdpath/hv 'a=$x' 'it'\\''s'\nmodule2 $cmdpath/'dom0' 'dom0'\nmodule2 $cmdpath/'vmlinuz' 'vmlinuz'\n" +
		"if [ $grub_platform = pc ]; then set gfxpayload=text; fi\nboot\n"
	if diff := cmp.Diff(want, grubConfig("$cmdpath", "a=$x it's", mods)); diff != "" {
		t.Error(diff)
	}
}

func TestSplitArgs(t *testing.T) {
	for in, want := range map[string][]string{
		"":                          nil,
		"  -s  -S ":                 {"-s", "-S"},
		`-drive 'file=a b,if=none'`: {"-drive", "file=a b,if=none"},
		`a"b c"d ''`:                {"ab cd", ""},
	} {
		got, err := SplitArgs(in)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", in, err, diff)
		}
	}
	if _, err := SplitArgs("'open"); err == nil {
		t.Error("open quote: no error")
	}
}

func TestHasFlag(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{
		{"processor\t: 0\nflags\t\t: fpu svm lm\n", true},
		{"flags : fpu svm_lock\n", false},
		{"bugs : svm\nflags : fpu\n", false},
		{"", false},
	} {
		if got := hasFlag(strings.NewReader(c.text), "svm"); got != c.want {
			t.Errorf("%q: %v", c.text, got)
		}
	}
}

func TestChoose(t *testing.T) {
	amd, intel, soft := host{amdV, true}, host{vtX, true}, host{"", true}
	shut := host{vtX, false}
	for _, c := range []struct {
		h              host
		backend, accel string
		want           Accel
		err            string
	}{
		{amd, "", "", KVM, ""},
		{amd, "svm", "", KVM, ""},
		{amd, "vmx", "", InBochs, ""},
		{intel, "", "", KVM, ""},
		{intel, "vmx", "", KVM, ""},
		{intel, "svm", "", TCG, ""},
		{soft, "", "", TCG, ""},
		{soft, "vmx", "", InBochs, ""},
		{shut, "", "", TCG, ""},
		{shut, "vmx", "", InBochs, ""},
		{host{}, "", "", TCG, ""},
		{intel, "vmx", "bochs", InBochs, ""},
		{soft, "", "bochs", InBochs, ""},
		{amd, "svm", "tcg", TCG, ""},
		{intel, "", "tcg", TCG, ""},
		{intel, "vmx", "kvm", KVM, ""},
		{intel, "vmx", "tcg", "", "QEMU emulates AMD-V only"},
		{soft, "svm", "bochs", "", "Bochs runs VT-x only"},
		{amd, "vmx", "kvm", "", "CPUs have svm, not vmx"},
		{soft, "", "kvm", "", "neither svm nor vmx"},
		{shut, "vmx", "kvm", "", "/dev/kvm does not open"},
		{intel, "hvf", "", "", "BACKEND=hvf: want"},
		{intel, "", "xen", "", "ACCEL=xen: want"},
	} {
		got, err := c.h.choose(c.backend, c.accel)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v BACKEND=%s ACCEL=%s: %q, %v", c.h, c.backend, c.accel, got, err)
		}
	}
}

func TestPickers(t *testing.T) {
	if b, err := ParseBoot(""); b != BootKernel || err != nil {
		t.Error(b, err)
	}
	if _, err := ParseBoot("floppy"); err == nil {
		t.Error("BOOT=floppy: no error")
	}
}

func TestStageKeepsContent(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	if err := os.WriteFile(src, []byte("image"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := Config{HV: src, Modules: []Module{{"dom0", src}}, Boot: BootPXE, Dir: dir, HVArgs: "x"}
	for range 2 { // a second run replaces the first
		s, err := c.makeStage()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"hv", "dom0"} {
			if b, err := os.ReadFile(filepath.Join(s.tftp, n)); err != nil || string(b) != "image" {
				t.Errorf("%s: %q %v", n, b, err)
			}
		}
	}
	c.Modules[0].Path = filepath.Join(dir, "missing")
	if _, err := c.makeStage(); err == nil {
		t.Error("missing module: no error")
	}
}
