// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package rootfs

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var fakeBusybox = []byte("\x7fELF\x02 static")

func TestDemo(t *testing.T) {
	modules := []Module{{"virtio.ko", []byte("1")}, {"rng-core.ko", []byte("2")}}
	a, err := Demo(fakeBusybox, []string{"sh", "bin/ls", "sbin/poweroff", "ls", "busybox", "", "init"}, modules)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := Demo(fakeBusybox, []string{"ls", "poweroff", "sh"}, modules)
	if !bytes.Equal(a, b) {
		t.Error("the order and form of the applet list matters")
	}
	z, err := gzip.NewReader(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"bin", "dev", "etc", "etc/acpi", "etc/acpi/PWRF", "etc/udhcpc", "lib", "proc", "root", "run", "sys", "tmp", "dev/console",
		"lib/virtio.ko", "lib/rng-core.ko", "init", "etc/acpi/PWRF/00000080", "etc/udhcpc/default.script", "etc/profile", "etc/passwd", "etc/group",
		"bin/busybox", "bin/ls", "bin/poweroff", "bin/sh", "TRAILER!!!"}
	if d := cmp.Diff(want, list(data)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if !bytes.Contains(data, []byte("echo \""+Ready+"\"\n")) {
		t.Error("init does not say that it is ready")
	}
	if !bytes.Contains(data, []byte("for m in virtio.ko rng-core.ko; do\n")) {
		t.Error("init does not load the modules")
	}
}

func TestSwitch(t *testing.T) {
	b, err := Switch(fakeBusybox, []Module{{"virtio.ko", []byte("1")}, {"ext4.ko", []byte("2")}})
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"bin", "dev", "lib", "proc", "sys", "dev/console", "lib/virtio.ko", "lib/ext4.ko", "init", "bin/busybox",
		"bin/cat", "bin/cttyhack", "bin/echo", "bin/insmod", "bin/ls", "bin/mkdir", "bin/mount", "bin/setsid", "bin/sh", "bin/switch_root", "TRAILER!!!"}
	if d := cmp.Diff(want, list(data)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if !bytes.Contains(data, []byte("for m in virtio.ko ext4.ko; do\n")) {
		t.Error("init does not load the modules")
	}
	if _, err := Switch([]byte("#!/bin/sh"), nil); err == nil {
		t.Error("any busybox will do")
	}
}

// list returns the names in an archive, walking its headers.
func list(b []byte) (names []string) {
	num := func(i int) (v int) {
		for _, c := range b[6+8*i : 14+8*i] {
			v = v<<4 | strings.IndexByte("0123456789ABCDEF", c)
		}
		return v
	}
	for len(b) >= 110 {
		size, name := num(6), num(11)
		names = append(names, string(b[110:110+name-1]))
		b = b[(110+name+3)&^3+(size+3)&^3:]
	}
	return names
}

func TestBadBusybox(t *testing.T) {
	for b, want := range map[string]string{
		"#!/bin/sh": "not an ELF",
		"\x7fELF\x02 /lib64/ld-linux-x86-64.so.2\x00": "linked dynamically",
		"\x7fELF\x01 /lib/ld-linux.so.2\x00":          "linked dynamically",
	} {
		if _, err := Demo([]byte(b), nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", b, err)
		}
	}
}
