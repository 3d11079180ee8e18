// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package rootfs

import (
	_ "embed"
	"fmt"
	"strings"

	"ringo/tools/initramfs/cpio"
)

//go:embed switch.sh
var switchScript string

// switchApplets are what switchScript uses of busybox, and who has to look why it failed.
var switchApplets = []string{"cat", "cttyhack", "echo", "insmod", "ls", "mkdir", "mount", "setsid", "sh", "switch_root"}

// Switch returns an initramfs that loads the modules in their order, mounts the file
// system that the kernel's command line names by root=, a device, and goes on with its
// /sbin/init, or init=. busybox is as for Demo.
func Switch(busybox []byte, modules []Module) ([]byte, error) {
	if err := usable(busybox); err != nil {
		return nil, err
	}
	var es []cpio.Entry
	for _, d := range []string{"bin", "dev", "lib", "proc", "sys"} {
		es = append(es, cpio.Entry{Name: d, Mode: cpio.Dir | 0o755})
	}
	es = append(es, cpio.Entry{Name: "dev/console", Mode: cpio.Char | 0o600, Major: 5, Minor: 1})
	var names []string
	for _, m := range modules {
		names = append(names, m.Name)
		es = append(es, cpio.Entry{Name: "lib/" + m.Name, Mode: cpio.Regular | 0o644, Data: m.Data})
	}
	init := strings.ReplaceAll(switchScript, "@MODULES@", strings.Join(names, " "))
	es = append(es, cpio.Entry{Name: "init", Mode: cpio.Regular | 0o755, Data: []byte(init)},
		cpio.Entry{Name: "bin/busybox", Mode: cpio.Regular | 0o755, Data: busybox})
	for _, a := range switchApplets {
		es = append(es, cpio.Entry{Name: "bin/" + a, Mode: cpio.Symlink | 0o777, Data: []byte("busybox")})
	}
	return pack(es)
}

// Worker returns an initramfs with a static program as /init, and modules in /modules, by
// names whose order is that in which they are to be loaded.
func Worker(init []byte, modules []Module) ([]byte, error) {
	es := []cpio.Entry{
		{Name: "dev", Mode: cpio.Dir | 0o755},
		{Name: "dev/console", Mode: cpio.Char | 0o600, Major: 5, Minor: 1},
		{Name: "init", Mode: cpio.Regular | 0o755, Data: init},
		{Name: "modules", Mode: cpio.Dir | 0o755},
	}
	for i, m := range modules {
		es = append(es, cpio.Entry{Name: fmt.Sprintf("modules/%02d-%s", i, m.Name), Mode: cpio.Regular | 0o644, Data: m.Data})
	}
	return pack(es)
}
