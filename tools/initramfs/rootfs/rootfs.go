// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package rootfs makes the demo guest's initramfs: a busybox, its applets as
// links, and an init script that ends in a shell on the console.
package rootfs

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"slices"
	"strings"

	"ringo/tools/initramfs/cpio"
)

// Ready is the line that init prints before the first shell.
const Ready = "ringo-demo: ready"

// powerScript is what acpid runs for the power button.
const powerScript = `#!/bin/sh
echo "power button: shutting down" >/dev/console
sync
poweroff -f
`

// leaseScript is what udhcpc runs for what a DHCP server says.
const leaseScript = `#!/bin/sh
case $1 in
deconfig)
	ifconfig $interface 0.0.0.0 ;;
bound|renew)
	ifconfig $interface $ip netmask $subnet
	for r in $router; do
		route add default gw $r dev $interface 2>/dev/null
	done
	[ -z "$domain" ] || echo "search $domain" >/etc/resolv.conf.$interface
	for d in $dns; do
		echo "nameserver $d" >>/etc/resolv.conf.$interface
	done
	[ ! -e /etc/resolv.conf.$interface ] || mv /etc/resolv.conf.$interface /etc/resolv.conf ;;
esac
`

//go:embed init.sh
var initScript string

// Module is a module of the guest's kernel.
type Module struct {
	Name string // of its file, without a folder
	Data []byte
}

// Demo returns the compressed archive. busybox is a statically linked busybox
// for amd64 or i386, applets is the output of "busybox --list-full" or "--list": names
// with or without a directory; modules are what init loads, in their order. The
// result depends on the arguments only.
func Demo(busybox []byte, applets []string, modules []Module) ([]byte, error) {
	if err := usable(busybox); err != nil {
		return nil, err
	}
	return pack(tree(busybox, applets, modules))
}

// usable checks that busybox needs nothing beside it.
func usable(busybox []byte) error {
	if !bytes.HasPrefix(busybox, []byte("\x7fELF")) {
		return errors.New("busybox is not an ELF file")
	}
	if bytes.Contains(busybox, []byte("/lib64/ld-linux-x86-64.so.2\x00")) || bytes.Contains(busybox, []byte("/lib/ld-linux.so.2\x00")) {
		return errors.New("busybox is linked dynamically: use the one of the package busybox-static")
	}
	return nil
}

// pack compresses an archive of es.
func pack(es []cpio.Entry) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if err := cpio.Write(z, es); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// tree lists the files, directories first.
func tree(busybox []byte, applets []string, modules []Module) []cpio.Entry {
	var es []cpio.Entry
	for _, d := range []string{"bin", "dev", "etc", "etc/acpi", "etc/acpi/PWRF", "etc/udhcpc", "lib", "proc", "root", "run", "sys", "tmp"} {
		es = append(es, cpio.Entry{Name: d, Mode: cpio.Dir | 0o755})
	}
	file := func(name string, mode uint32, data string) {
		es = append(es, cpio.Entry{Name: name, Mode: cpio.Regular | mode, Data: []byte(data)})
	}
	// The kernel opens the console before anything is mounted.
	es = append(es, cpio.Entry{Name: "dev/console", Mode: cpio.Char | 0o600, Major: 5, Minor: 1})
	var names []string
	for _, m := range modules {
		names = append(names, m.Name)
		file("lib/"+m.Name, 0o644, string(m.Data))
	}
	file("init", 0o755, strings.NewReplacer("@READY@", Ready, "@MODULES@", strings.Join(names, " ")).Replace(initScript))
	file("etc/acpi/PWRF/00000080", 0o755, powerScript)
	file("etc/udhcpc/default.script", 0o755, leaseScript)
	file("etc/profile", 0o644, "export PATH=/bin HOME=/root PS1='demo# '\n")
	file("etc/passwd", 0o644, "root::0:0:root:/root:/bin/sh\n")
	file("etc/group", 0o644, "root:x:0:\n")
	file("bin/busybox", 0o755, string(busybox))
	for _, a := range links(applets) {
		es = append(es, cpio.Entry{Name: "bin/" + a, Mode: cpio.Symlink | 0o777, Data: []byte("busybox")})
	}
	return es
}

// links returns the base names of applets, sorted, without those that the tree
// has as files.
func links(applets []string) []string {
	var out []string
	for _, a := range applets {
		a = a[strings.LastIndexByte(a, '/')+1:]
		if a != "" && a != "busybox" && a != "init" && a != "linuxrc" {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
