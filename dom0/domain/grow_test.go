// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import "testing"

// A snapshot gets the size that it is given, which a restart keeps; others that of what
// they are on.
func TestResizeDisk(t *testing.T) {
	r := withDisks(t)
	_, err := r.AttachDisk("web", "boot:b.img,snapshot,size=8KiB")
	r.must(err)
	for _, c := range []struct{ disk, size, want string }{
		{"boot:a.img", "8KiB", "boot:a.img is no snapshot: it has the size of what it is on"},
		{"boot:b.img", "large", `size: "large" is not a size`},
		{"boot:b.img", "4KiB", "boot:b.img would shrink"},
		{"boot:b.img", "65TiB", "size: 65TiB is out of range"},
		{"boot:c.img", "", "has no disk boot:c.img"},
	} {
		_, _, err := r.ResizeDisk("web", c.disk, c.size)
		r.fails(err, c.want)
	}
	told := 0
	in, err := r.Find("web")
	r.must(err)
	r.opened(in.Config, 9).OnResize(func() { told++ })
	before, now, err := r.ResizeDisk("web", "9", "1MiB")
	if r.must(err); before != 8192 || now != 1<<20 || told != 1 {
		t.Errorf("%d, %d, told %d times", before, now, told)
	}
	in, err = r.Find("web")
	if r.must(err); in.Config.Disk[1].Size.Bytes != 1<<20 {
		t.Errorf("%+v", in.Config.Disk)
	}
	before, now, err = r.ResizeDisk("web", "boot:a.img", "")
	if r.must(err); before != 4096 || now != 4096 {
		t.Errorf("%d, %d", before, now)
	}
}
