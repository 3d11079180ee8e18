// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package builder

import (
	"unsafe"

	"ringo/hv/abi"
)

// info is the start information on its way to dom0's RAM: too large for a stack.
var info abi.StartInfo

// startInfo fills the structure and copies it. It is the last to use RAM: the
// pool begins behind it.
func (b *build) startInfo() (err error) {
	if b.infoAt, err = b.take(uint64(unsafe.Sizeof(info))); err != nil {
		return err
	}
	info = abi.StartInfo{
		Magic: abi.StartMagic, TSCHz: b.m.TSCHz, EpochNS: b.m.EpochNS.Load(),
		ImageStart: uint64(b.imageAt), ImageSize: b.img.End - b.img.Base,
		Top: uint64(b.p.Top), PoolStart: uint64(b.next), PoolEnd: uint64(b.end),
		SharedInfo: uint64(b.d.SharedInfoAt()), RSDP: uint64(b.p.RSDP),
		NumCPUs: uint32(b.p.VCPUs), CallInsn: b.p.CallInsn,
		NumModules: uint32(len(b.p.Modules)),
	}
	copy(info.CmdLine[:len(info.CmdLine)-1], b.p.CmdLine)
	info.Ranges[0] = abi.MemRange{Start: uint64(b.ram), Size: uint64(b.end - b.ram), Type: abi.MemRAM}
	info.NumRanges = 1 + uint32(copy(info.Ranges[1:], b.p.Windows))
	for i, m := range b.p.Modules {
		info.Modules[i] = abi.Module{Start: uint64(m.Start), Size: m.Size}
		copy(info.Modules[i].Name[:abi.NameLen-1], m.Name)
	}
	// SAFETY: info is a plain structure without pointers.
	b.m.Phys.Write(b.infoAt, unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Sizeof(info)))
	return nil
}
