// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"ringo/dom0/api"
)

func dumpCore(c *call) error {
	c.flush()
	d, err := api.DomainDump.Call(c.API, c.ref())
	if err == nil {
		c.printf("dumped %q: %d MiB, kept in %d KiB of dom0's memory (see dumps)\n", d.Name, mib(uint64(d.Size)), d.Kept>>10)
	}
	return err
}

// dumps lists dumps, describes one, shows bytes of it, or forgets it.
func dumps(c *call) error {
	if len(c.args) == 0 && len(c.opt) > 0 {
		return c.usage()
	}
	if c.given('d') {
		_, err := api.DumpDelete.Call(c.API, api.Dumped{Name: c.args[0]})
		return err
	}
	if c.given('x') {
		return c.hexdump()
	}
	all, err := api.DumpList.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	if len(c.args) > 0 {
		for _, d := range all {
			if d.Name == c.args[0] {
				c.dump(d)
				return nil
			}
		}
		_, err := api.DumpRead.Call(c.API, api.DumpPart{Name: c.args[0]}) // which says so
		return err
	}
	c.printf("%-40s %5s %9s %9s  %-20s  %s\n", "Name", "ID", "Size(MiB)", "Kept(KiB)", "Made", "Why")
	for _, d := range all {
		c.printf("%-40s %5d %9d %9d  %-20s  %s\n", d.Name, d.ID, mib(uint64(d.Size)), d.Kept>>10, d.Made.UTC().Format(time.RFC3339), d.Why)
	}
	return nil
}

// dump describes a dump.
func (c *call) dump(d api.Dump) {
	line := func(name, format string, a ...any) {
		c.printf("%-12s "+format+"\n", append([]any{name + ":"}, a...)...)
	}
	line("Name", "%s (id %d)", d.Name, d.ID)
	line("Made", "%s", d.Made.UTC().Format(time.RFC3339))
	if d.Why != "" {
		line("Why", "%s", d.Why)
	}
	line("Size", "%d bytes, of which %d are zero and not kept", d.Size, d.Zero)
	line("Kept in", "%d KiB", d.Kept>>10)
	if d.Release != "" {
		line("Kernel", "%s", d.Release)
	}
	for i, x := range d.CPUs {
		line(fmt.Sprintf("vCPU %d", i), "RIP %#x RSP %#x CR3 %#x", x.RIP, x.RSP, x.CR3)
	}
	for _, r := range d.RAM {
		line("RAM", "%#x to %#x at offset %#x", r.Address, r.Address+r.Size, r.Offset)
	}
}

// hexdump shows bytes of a dump, with a star for lines of zeros.
func (c *call) hexdump() error {
	in := api.DumpPart{Name: c.args[0]}
	end := int64(256)
	for i, p := range []*int64{&in.Offset, &end} {
		if len(c.args) > i+1 {
			n, err := strconv.ParseInt(c.args[i+1], 0, 64)
			if err != nil || n < 0 {
				return fmt.Errorf("%q is not a number of bytes; %w", c.args[i+1], c.usage())
			}
			*p = n
		}
	}
	zeros := false
	for end += in.Offset; in.Offset < end; {
		in.Length = int(min(end-in.Offset, api.MaxPart))
		out, err := api.DumpRead.Call(c.API, in)
		if err != nil || len(out.Bytes) == 0 {
			return err
		}
		for b := out.Bytes; len(b) > 0; {
			n := min(16, len(b))
			if len(bytes.Trim(b[:n], "\x00")) > 0 {
				c.printf("%010x  % x\n", in.Offset, b[:n])
				zeros = false
			} else if !zeros {
				c.printf("*\n")
				zeros = true
			}
			b, in.Offset = b[n:], in.Offset+int64(n)
		}
		c.flush()
	}
	return nil
}
