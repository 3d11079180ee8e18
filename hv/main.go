// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Command hv is the hypervisor: it runs in ring 0 of the bare machine, gives
// every partition its memory, CPU time and virtual platform, and starts dom0.
package main

import "ringo/hv/internal/dbg"

func main() {
	dbg.SetSink(logLine)
	opts, info := bootInfo()
	fw := firmware(info)
	earlyConsole(opts, fw)
	setPower(fw)
	checkClock(fw)
	devices := quietDevices(fw)
	m := newMachine(info, devices)
	callInsn := chooseBackend(m)
	startCPUs(m, fw, opts)
	guard := guardDevices(m, fw, devices, opts)
	openConsole(m, info, opts, fw, guard)
	dom0 := buildDom0(m, info, fw, opts, callInsn)
	connectDevices(m, dom0, devices, guard, fw, opts)
	m.Records.SetLimit(recordLimit())
	if opts.Torture {
		torture()
	}
	run(m, newServices(m, devices, guard, info.CmdLine, opts), dom0, opts)
}
