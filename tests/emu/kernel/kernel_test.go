// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringo/tools/emu"
	"ringo/tools/image"
)

var long = flag.Bool("long", false, "also run the tortures that take minutes")

// root is the module, dir where images go.
var root, dir string

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if root, err = image.Root(); err == nil {
		dir = filepath.Join(root, "build", "kerneltest")
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if _, err := exec.LookPath(emu.QEMU); err != nil {
		fmt.Println("tests/emu/kernel: SKIPPED:", err)
		return
	}
	os.Exit(m.Run())
}

// program builds one of tests/guests/kerneltest and returns its image.
func program(t *testing.T, name string) string {
	t.Helper()
	img, err := image.Bare(root, "./tests/guests/kerneltest/"+name, filepath.Join(dir, name+".img"))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// run boots c and waits for its end; it returns what the console showed.
func run(t *testing.T, c emu.Config, bochs bool, d time.Duration) (string, emu.Status) {
	t.Helper()
	c.Dir = t.TempDir()
	start := emu.Start
	if bochs {
		if _, err := exec.LookPath(emu.Bochs); err != nil {
			t.Skip(err)
		}
		start = emu.StartBochs
	}
	m, err := start(c)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Kill()
	st, err := m.Wait(d)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, m.CommandLine(), m.Transcript())
	}
	m.Drain()
	return m.Transcript(), st
}

// succeed wants the verdict SUCCESS and nothing from the crash dump.
func succeed(t *testing.T, out string) {
	t.Helper()
	if !strings.Contains(out, "\nSUCCESS\n") || strings.Contains(out, "FATAL") || strings.Contains(out, "is not implemented") {
		t.Errorf("no success:\n%s", out)
	}
	t.Log(out)
}

func TestBasic(t *testing.T) {
	img := program(t, "basic")
	for _, c := range []struct {
		name string
		emu.Config
		args string
	}{
		{"1 CPU", emu.Config{SMP: 1}, "cpus=1"},
		{"2 CPUs", emu.Config{SMP: 2}, "cpus=2"},
		{"4 CPUs, memory above 4 GiB", emu.Config{SMP: 4, MemMiB: 6144}, "cpus=4"},
		{"no XSAVE, no 1 GiB pages", emu.Config{SMP: 2, CPU: "qemu64"}, "cpus=2"},
		{"system calls by UD", emu.Config{SMP: 2}, "cpus=2 ud=1"},
		{"counted instructions", emu.Config{SMP: 1, ICount: true}, "cpus=1"},
		{"multiboot 2", emu.Config{SMP: 2, Boot: emu.BootISO}, "cpus=2"},
		{"network boot", emu.Config{SMP: 2, Boot: emu.BootPXE}, "cpus=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.HV, c.HVArgs = img, c.args+" pool=32"
			out, st := run(t, c.Config, false, 3*time.Minute)
			succeed(t, out)
			if st.End != emu.Poweroff {
				t.Errorf("the machine ended by %s", st.End)
			}
		})
	}
}

// TestBochs has what QEMU's emulation lacks: x2APIC, TSC-deadline timer.
func TestBochs(t *testing.T) {
	out, _ := run(t, emu.Config{HV: program(t, "basic"), SMP: 2, HVArgs: "cpus=2 pool=32"}, true, 5*time.Minute)
	succeed(t, out)
}

// TestBochsEnds: how a machine in Bochs ends is known, as in QEMU.
func TestBochsEnds(t *testing.T) {
	img := program(t, "crash")
	for _, c := range []struct {
		mode int
		end  emu.End
	}{{3, emu.Reset}, {4, emu.Poweroff}} {
		_, st := run(t, emu.Config{HV: img, SMP: 2, MemMiB: 512, HVArgs: fmt.Sprintf("cpus=2 mode=%d", c.mode)}, true, 2*time.Minute)
		if st.End != c.end {
			t.Errorf("mode %d: the machine ended by %s, not %s: %s", c.mode, st.End, c.end, st.Stderr)
		}
	}
}

func TestTorture(t *testing.T) {
	img := program(t, "torture")
	secs, cpus := 10, []int{2}
	if *long {
		secs, cpus = 180, []int{1, 2, 4}
	}
	for _, n := range cpus {
		for _, accel := range []string{"thread=multi", "thread=single"} {
			if accel == "thread=single" && !*long {
				continue
			}
			t.Run(fmt.Sprintf("%d CPUs %s", n, accel), func(t *testing.T) {
				out, _ := run(t, emu.Config{HV: img, SMP: n, MemMiB: 512,
					HVArgs: fmt.Sprintf("cpus=%d pool=64 secs=%d", n, secs),
					Args:   []string{"-accel", "tcg," + accel}}, false, time.Duration(secs)*3*time.Second+2*time.Minute)
				succeed(t, out)
			})
		}
	}
}

// TestCrash checks that every way to the end of the world says what happened
// where, and ends.
func TestCrash(t *testing.T) {
	img := program(t, "crash")
	for _, c := range []struct {
		mode int
		end  emu.End
		want []string
	}{
		{0, emu.Reset, []string{"panic: on purpose", "main.inner", "ringo: the Go program ended with status 2", "CPU 0  rip", "CPU 1  rip", "reboot in 5 s"}},
		{1, emu.Reset, []string{"FATAL: on purpose on CPU", "rip ", "main.inner+0x", "main.outer+0x", "crash/main.go:", "reboot in 5 s"}},
		{2, emu.Reset, []string{"FATAL: out of memory", "main.inner"}},
		{3, emu.Reset, nil},
		{4, emu.Poweroff, nil},
		{5, emu.Reset, []string{"concurrent map"}},
		{6, emu.Reset, []string{"FATAL: page fault in the kernel layer", "cr2 0000000000000030", "kernel.ownCrash+0x", "kernel.syscallEntry", "before that:", "main.inner"}},
		{7, emu.Reset, []string{"FATAL: out of memory", "  stack:"}},
	} {
		t.Run(fmt.Sprint(c.mode), func(t *testing.T) {
			out, st := run(t, emu.Config{HV: img, SMP: 2, HVArgs: fmt.Sprintf("cpus=2 mode=%d", c.mode)}, false, time.Minute)
			for _, w := range c.want {
				if !strings.Contains(out, w) {
					t.Errorf("no %q in\n%s", w, out)
				}
			}
			if st.End != c.end {
				t.Errorf("the machine ended by %s, not %s", st.End, c.end)
			}
		})
	}
}

// TestNoreboot: the machine halts and stays.
func TestNoreboot(t *testing.T) {
	m, err := emu.Start(emu.Config{HV: program(t, "crash"), SMP: 2, HVArgs: "cpus=2 mode=0 noreboot", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Kill()
	if _, _, err := m.Expect(30*time.Second, "ringo: halted (noreboot)"); err != nil {
		t.Fatal(err)
	}
	if st, err := m.Wait(8 * time.Second); err == nil {
		t.Errorf("it ended: %+v", st)
	}
}

// TestMistakes: machines on which it cannot run get one clear line, then a
// reset.
func TestMistakes(t *testing.T) {
	img := program(t, "hello")
	for _, c := range []struct {
		name, want string
		emu.Config
	}{
		{"no NX", "ringo: this CPU does not offer NX; enable", emu.Config{CPU: "max,-nx"}},
		{"32-bit CPU", "ringo: this CPU has no 64-bit mode", emu.Config{CPU: "qemu32"}},
		{"little memory", "ringo: not enough memory: need 12 MiB", emu.Config{MemMiB: 12}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.HV = img
			out, st := run(t, c.Config, false, time.Minute)
			if !strings.Contains(out, c.want) || strings.Count(strings.TrimSpace(out), "\n") > 1 {
				t.Errorf("want one line with %q, got\n%s", c.want, out)
			}
			if st.End != emu.Reset {
				t.Errorf("the machine ended by %s", st.End)
			}
		})
	}
}

// TestPartition runs the same programs in guest mode, in dom0's place.
func TestPartition(t *testing.T) {
	if !image.Exists(root) {
		t.Skip("no hv yet")
	}
	imgs, err := image.Build(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"basic", "torture"} {
		for _, vcpus := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s %d", name, vcpus), func(t *testing.T) {
				elf, err := image.Partition(root, "./tests/guests/kerneltest/"+name, filepath.Join(dir, name+".part"))
				if err != nil {
					t.Fatal(err)
				}
				out, st := run(t, emu.Config{HV: imgs.HV, SMP: 2, Modules: emu.Modules(elf),
					HVArgs: fmt.Sprintf("dom0_max_vcpus=%d", vcpus)}, false, 3*time.Minute)
				succeed(t, out)
				if st.End != emu.Poweroff {
					t.Errorf("the machine ended by %s", st.End)
				}
			})
		}
	}
}
