// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"ringo/boot/acpi"
	"ringo/boot/cmdline"
	"ringo/boot/kernel"
	"ringo/boot/mb"
	"ringo/hv/abi"
	"ringo/hv/internal/dbg"
	"ringo/mm"
)

// levels pairs the command line's log levels with those of the log.
var levels = map[cmdline.Level]dbg.Level{
	cmdline.LogNone: dbg.Error, cmdline.LogError: dbg.Error, cmdline.LogWarning: dbg.Warning,
	cmdline.LogInfo: dbg.Info, cmdline.LogDebug: dbg.Debug,
}

// bootInfo reads what the loader left, and the options.
func bootInfo() (cmdline.Options, *mb.Info) {
	b := kernel.Boot()
	info, err := mb.Parse(b.Magic, b.Addr, readPhys)
	if err != nil {
		fatal("the loader's information is unusable: ", err.Error())
	}
	opts, warnings := cmdline.Parse(info.CmdLine)
	dbg.SetLevel(levels[opts.LogLevel])
	by := ", started by "
	if info.EFI != 0 {
		by = ", started on UEFI by "
	}
	dbg.At(dbg.Info).S("Ringo ").S(abi.Release).S(by).S(info.Loader).S(", options \"").S(info.CmdLine).S("\"").End()
	for _, w := range warnings {
		dbg.At(dbg.Warning).S(w).End()
	}
	return opts, info
}

// readPhys copies physical memory, for the parsers of firmware tables.
func readPhys(a mm.HPA, b []byte) bool {
	if !mm.Within(a, uint64(len(b)), uint64(kernel.DirectTop())) {
		return false
	}
	direct.Read(a, b)
	return true
}

// firmware reads the ACPI tables. Without them there is one CPU, and no way to
// power off but the emulators' ports.
func firmware(info *mb.Info) *acpi.Tables {
	root, err := acpi.FindRSDP(readPhys, info.RSDP, info.EFI != 0)
	if err == nil {
		var fw *acpi.Tables
		if fw, err = acpi.Parse(readPhys, root); err == nil {
			for _, w := range fw.Warnings {
				dbg.At(dbg.Warning).S("acpi: ").S(w).End()
			}
			return fw
		}
	}
	dbg.At(dbg.Warning).S(err.Error()).S("; using one CPU").End()
	return &acpi.Tables{}
}
