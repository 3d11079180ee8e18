// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import "ringo/hv/abi"

// calls is indexed by Call - CallBase.
var calls = [abi.NumCalls]call{
	abi.CallNop - abi.CallBase:          {any: true, run: nop},
	abi.CallHost - abi.CallBase:         {gpa: 1, size: sizeHost, out: true, run: host},
	abi.CallPower - abi.CallBase:        {run: power},
	abi.CallLog - abi.CallBase:          {gpa: 1, len: 2, out: true, run: readLog},
	abi.CallConsoleWrite - abi.CallBase: {gpa: 1, len: 2, in: true, run: consoleWrite},
	abi.CallConsoleRead - abi.CallBase:  {gpa: 1, len: 2, out: true, run: consoleRead},
	abi.CallDebugKey - abi.CallBase:     {run: debugKey},

	abi.CallDomCreate - abi.CallBase:    {gpa: 1, size: sizeCreate, in: true, out: true, run: domCreate},
	abi.CallDomPopulate - abi.CallBase:  {dom: 1, guest: true, run: domPopulate},
	abi.CallDomMap - abi.CallBase:       {dom: 1, guest: true, gpa: 2, size: sizeExtents, in: true, out: true, run: domMap},
	abi.CallDomSetVCPU - abi.CallBase:   {dom: 1, vcpu: 2, gpa: 3, size: sizeContext, in: true, run: domSetVCPU},
	abi.CallDomGetVCPU - abi.CallBase:   {dom: 1, vcpu: 2, gpa: 3, size: sizeContext, out: true, run: domGetVCPU},
	abi.CallDomClaim - abi.CallBase:     {dom: 1, guest: true, run: domClaim},
	abi.CallDomPause - abi.CallBase:     {dom: 1, guest: true, run: domPause},
	abi.CallDomUnpause - abi.CallBase:   {dom: 1, run: domUnpause},
	abi.CallDomDestroy - abi.CallBase:   {dom: 1, guest: true, run: domDestroy},
	abi.CallDomInfo - abi.CallBase:      {gpa: 2, size: sizeInfo, out: true, run: domInfo},
	abi.CallDomRename - abi.CallBase:    {dom: 1, guest: true, gpa: 2, size: abi.NameLen, in: true, run: domRename},
	abi.CallDomSetRecord - abi.CallBase: {dom: 1, gpa: 2, len: 3, in: true, run: domSetRecord},
	abi.CallDomGetRecord - abi.CallBase: {dom: 1, gpa: 2, len: 3, out: true, run: domGetRecord},
	abi.CallDomIRQ - abi.CallBase:       {dom: 1, guest: true, run: domIRQ},
	abi.CallDomMSI - abi.CallBase:       {dom: 1, guest: true, run: domMSI},
	abi.CallDomBell - abi.CallBase:      {dom: 1, guest: true, run: domBell},
	abi.CallDomEnd - abi.CallBase:       {dom: 1, guest: true, run: domEnd},
	abi.CallDomTrigger - abi.CallBase:   {dom: 1, vcpu: 3, guest: true, run: domTrigger},
	abi.CallDomSched - abi.CallBase:     {dom: 1, run: domSched},
	abi.CallDomShutdown - abi.CallBase:  {any: true, run: domShutdown},

	abi.CallEventSend - abi.CallBase: {run: eventSend},
	abi.CallIOReqDone - abi.CallBase: {dom: 1, vcpu: 2, run: ioreqDone},
	abi.CallVCPUStart - abi.CallBase: {run: vcpuStart},

	abi.CallExitCounts - abi.CallBase: {gpa: 2, size: sizeCounts, out: true, run: exitCounts},
	abi.CallTrace - abi.CallBase:      {gpa: 2, len: 3, out: true, run: trace},

	abi.CallDomAffinity - abi.CallBase: {dom: 1, vcpu: 2, run: domAffinity},

	abi.CallPCIFunction - abi.CallBase: {gpa: 2, size: sizePCI, out: true, run: pciFunction},
	abi.CallPCIRead - abi.CallBase:     {run: pciRead},
	abi.CallSchedSlice - abi.CallBase:  {run: schedSlice},

	abi.CallPCIAssign - abi.CallBase:  {run: pciAssign},
	abi.CallPCIMap - abi.CallBase:     {run: pciMap},
	abi.CallPCIWrite - abi.CallBase:   {run: pciWrite},
	abi.CallPCIRelease - abi.CallBase: {run: pciRelease},
	abi.CallIRQBind - abi.CallBase:    {run: irqBind},
	abi.CallIRQMask - abi.CallBase:    {run: irqMask},
	abi.CallIRQUnbind - abi.CallBase:  {run: irqUnbind},
	abi.CallIRQDone - abi.CallBase:    {run: irqDone},

	abi.CallSetWall - abi.CallBase: {run: setWall},
}
