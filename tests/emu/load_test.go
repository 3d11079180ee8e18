// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ringo/tools/emu"
	"ringo/tools/initramfs/cpio"
)

// TestLoad keeps a Linux with 8 vCPUs on two CPUs busy for five minutes of its time,
// with messages between threads, timers, changes of mappings and CPUs that go offline
// and come back (tests/guests/load says what is checked), and then, for another
// minute, while the toolstack takes vCPUs away and gives them back.
func TestLoad(t *testing.T) {
	t.Parallel()
	if !*long {
		t.Skip("needs -long: it takes six minutes and more")
	}
	h := boot(t, emu.Config{MemMiB: 1536, Modules: modules(withProgram(t, "load"))})
	h.ok(`create name=load kernel=boot:vmlinux.lz4 initrd=boot:load.gz memory=512MiB vcpus=8 max_vcpus=8 cmdline="console=ttyS0"`)
	h.attach("load")
	h.shell()
	h.key("dmesg -n 1; load -for 5m -offline\r")
	h.see(guestTime, "load: messages")
	t.Log("messages", h.see(verbTime, "\n"))
	if got := h.seeRE(verbTime, "load: (all is well|wrong: .*)\n")[1]; got != "all is well" {
		t.Error(got)
	}
	h.see(verbTime, "# ")
	if got := h.sh("nproc"); got != "8" {
		t.Errorf("%s CPUs are online behind it", got)
	}
	h.plugScript()
	h.sh("(load -for 1m >/tmp/load 2>&1 &); true")
	h.detach()
	h.vcpuSet("load", 3)
	h.vcpuSet("load", 8)
	h.attach("load")
	h.key("\r")
	if got := h.sh("while pidof load >/dev/null; do sleep 1; done; tail -n 1 /tmp/load"); got != "load: all is well" {
		t.Errorf("with vCPUs that come and go: %s", got)
	}
	if got := h.sh("nproc"); got != "8" {
		t.Errorf("%s CPUs are online in the end", got)
	}
	h.quiet()
	h.detach()
	if out := h.ok("shutdown -w load"); !strings.Contains(out, `domain "load" has powered off`) {
		t.Errorf("shutdown: %q", out)
	}
	h.poweroff()
}

// withProgram makes an initrd, NAME.gz, that is the demo guest's with the program
// tests/guests/NAME in it: the kernel unpacks one archive after the other.
func withProgram(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	program, initrd := filepath.Join(dir, name), filepath.Join(dir, name+".gz")
	cmd := exec.Command("go", "build", "-o", program, "./tests/guests/"+name)
	cmd.Dir, cmd.Env = built.root, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	code, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadFile(built.Initrd)
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.NewBuffer(all)
	z := gzip.NewWriter(out)
	if err := cpio.Write(z, []cpio.Entry{{Name: "bin/" + name, Mode: cpio.Regular | 0o755, Data: code}}); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(initrd, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return initrd
}
