// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"ringo/tools/emu"
	"ringo/tools/initramfs/rootfs"
)

// makeRun is "make run" with pipes for standard input and output.
type makeRun struct {
	*emu.Console
	cmd    *exec.Cmd
	in     io.WriteCloser
	stderr *bytes.Buffer // to be read when the command has ended
}

func startMake(t *testing.T, vars ...string) *makeRun {
	t.Helper()
	cmd := exec.Command("make", append([]string{"-s", "run", "SERVER=none"}, vars...)...)
	cmd.Dir = built.root
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = theirs, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Signal(os.Interrupt)
			cmd.Wait()
		}
		if t.Failed() {
			t.Log(stderr.String())
		}
	})
	return &makeRun{emu.NewConsole(out, in, 64<<20), cmd, in, stderr}
}

// TestMakeRun is the acceptance session, by "make run" itself, for each way of
// booting; with all input at once; and in Bochs. One at a time: they build the same
// files.
func TestMakeRun(t *testing.T) {
	t.Parallel()
	for _, boot := range []string{"kernel", "iso", "pxe"} {
		t.Run(boot, func(t *testing.T) { testMakeRun(t, boot) })
	}
	t.Run("blind", testMakeRunBlind)
	t.Run("bochs", testMakeRunBochs)
}

func testMakeRun(t *testing.T, boot string) {
	r := startMake(t, "BOOT="+boot)
	for _, step := range []struct {
		wait time.Duration
		see  string
		send string
	}{
		{bootTime, prompt, "create demo.toml\n"},
		{verbTime, "\n" + prompt, "console demo\n"},
		{guestTime, rootfs.Ready, "\n"},
		{verbTime, "# ", "echo $((6*7))\n"},
		{verbTime, "\n42", "\x1d"}, // the kernel may say something behind it
		{verbTime, "\n" + prompt, "destroy demo\n"},
		{verbTime, "\n" + prompt, "poweroff\n"},
	} {
		if _, _, err := r.Expect(step.wait, step.see); err != nil {
			t.Fatal(err)
		}
		if err := r.Send(step.send); err != nil {
			t.Fatal(err)
		}
	}
	if err := wait(r.cmd); err != nil {
		t.Errorf("make run: %v", err)
	}
}

// wait is cmd.Wait with a deadline.
func wait(cmd *exec.Cmd) error {
	timer := time.AfterFunc(endTime, func() { cmd.Process.Signal(os.Interrupt) })
	defer timer.Stop()
	return cmd.Wait()
}

// testMakeRunBlind pipes all input at once, ending with an end of file, as
// printf does. A port of this host leads to the machine's.
func testMakeRunBlind(t *testing.T) {
	x := file(t, "x.toml", "name = \"x\"\nmemory = \"160MiB\"\n[boot]\nkernel = \"boot:vmlinux.lz4\"\ninitrd = \"boot:initrd.gz\"\n")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	r := startMake(t, "SMP=1", "MEM=768", "FILES="+x, "HVARGS=loglvl=info", fmt.Sprintf("HOSTFWD=%d:22", port))
	if err := r.Send("files\ncreate x.toml\nlist\npoweroff\n"); err != nil {
		t.Fatal(err)
	}
	r.in.Close()
	if _, err := r.ExpectRE(bootTime+verbTime, regexp.MustCompile(`(?m)^x +\d+ +160 `)); err != nil {
		t.Fatal(err)
	}
	if err := wait(r.cmd); err != nil {
		t.Errorf("make run: %v", err)
	}
	if want := fmt.Sprintf("\nrun: 127.0.0.1:%d leads to the machine's port 22 (", port); !strings.Contains(r.stderr.String(), want) {
		t.Errorf("make run says nothing of the port:\n%s", r.stderr)
	}
}

// testMakeRunBochs is a short session with VT-x, which Bochs emulates.
func testMakeRunBochs(t *testing.T) {
	r := startMake(t, "BACKEND=vmx", "ACCEL=bochs", "MEM=768", "HVARGS=loglvl=info")
	if err := r.Send("info\nlist\npoweroff\n"); err != nil {
		t.Fatal(err)
	}
	r.in.Close()
	for _, want := range []string{`(?m)^ringo: virtualization: VT-x$`, `(?m)^virt_caps +: hvm hap vmx$`, `(?m)^Domain-0 +0 `, `(?m)^ringo: powering off$`} {
		if _, err := r.ExpectRE(bootTime+verbTime, regexp.MustCompile(want)); err != nil {
			t.Fatal(err)
		}
	}
	if err := wait(r.cmd); err != nil {
		t.Errorf("make run: %v", err)
	}
}
