// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzLine runs arbitrary lines, some of which make and end domains. None may end
// dom0, and what is wrong with one is said in one line.
func FuzzLine(f *testing.F) {
	for _, s := range []string{
		"create demo.toml\nlist -l\npause demo\nunpause demo\nrename demo d2\ndestroy d2",
		"create name=a kernel=boot:vmlinuz memory=4MiB vcpus=2 cap=10 cpu_weight=3 cpus=0-1,^0\ncreate -n demo.toml\nsched-credit -d a -w 7 -c 5\nvcpu-list a\ninfo\ntop\nuptime",
		"create -p name=a kernel=boot:vmlinuz cmdline=\"x y\" uuid=1\nconsole a\nshutdown a\ndomid a\ndomname 1\ndomid 99999999999999999999",
		"create bad.toml x=y\ncreate disk.toml\ncreate a b\ncreate memory=1e9TiB\ncreate name=\ncreate =",
		"help\nhelp create\nhelp nosuch\nxl\nxl list\nversion\ndmesg\nfiles\ndebug-keys hq\ndebug-keys\nstats",
		"define demo.toml\nedit demo\nedit demo memory=16 vcpus=1\nstart -p demo\ndump-core demo\ndumps -x demo 0 300\ndumps demo\ndumps -d demo\nstatus\nlist -a\nundefine demo",
		"define -\ncreate -\ndefine name=a kernel=boot:vmlinuz\nautostart a\nautostart -d a\nvcpu-set a 2\nmem-set a 8\nrename a b\nstart b\nvcpu-set b 2\ndominfo b\nlist -l b",
		"list --all -v -l -z\nlist \"\nlist \\\nlist '\nsave a b\nmem-set a 5\nnosuch",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := newRig(t, nil)
		lines := strings.Split(text, "\n")
		for _, line := range lines[:min(len(lines), 12)] {
			if strings.Contains(line, "off") || strings.Contains(line, "restart") {
				continue // the machine in memory ends with the test
			}
			var out bytes.Buffer
			status := r.Run(line, &out)
			if s := out.String(); status != 0 && strings.Count(s, "\n") != 1+strings.Count(s, "\nerror: ") && !strings.Contains(s, "usage: ") {
				t.Errorf("%q: status %d, %q", line, status, s)
			}
			r.Complete(line)
		}
	})
}
