// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import "ringo/mm"

// Register is a "Generic Address Structure". Addr 0 means: there is none.
type Register struct {
	Space  uint8 // SpaceMemory, SpaceIO, ...
	Width  uint8 // in bits
	Offset uint8 // of the lowest bit
	Access uint8 // 1 byte, 2 word, 3 dword, 4 qword, 0 undefined
	Addr   uint64
}

// Address spaces of a [Register].
const (
	SpaceMemory = 0
	SpaceIO     = 1
	SpacePCI    = 2
)

// FADT describes the fixed hardware ("Fixed ACPI Description Table").
type FADT struct {
	DSDT mm.HPA
	SCI  uint16 // interrupt: ISA if PIC8259, otherwise global
	// PMTimer counts at 3.579545 MHz, with 32 bits if PMTimer32, else 24.
	PMTimer                  Register
	PMTimer32                bool
	PM1aControl, PM1bControl Register
	PM1aEvent, PM1bEvent     Register
	// SMICommand is the port that takes ACPIEnable; 0 when ACPI is always on.
	SMICommand              uint32
	ACPIEnable, ACPIDisable uint8
	// Reset: writing ResetValue to it restarts the machine. Addr is 0 if the
	// machine cannot.
	Reset      Register
	ResetValue uint8
	// Century is the index of the century in CMOS, 0 if there is none.
	Century uint8
	// BootFlags is "IA-PC Boot Architecture Flags".
	BootFlags uint16
	Flags     uint32
}

// Bits of BootFlags and Flags.
const (
	BootLegacyDevices = 1 << 0
	Boot8042          = 1 << 1
	BootNoVGA         = 1 << 2
	BootNoMSI         = 1 << 3
	BootNoRTC         = 1 << 5

	FlagTimer32         = 1 << 8
	FlagReset           = 1 << 10
	FlagHardwareReduced = 1 << 20
)

// PMTimerHz is the rate of the PM timer ("Power Management Timer").
const PMTimerHz = 3579545

// fadt1 is the length of the table of ACPI 1.0: it ends with Flags.
const fadt1 = 116

func (t *Tables) parseFADT(b []byte) *FADT {
	if len(b) < fadt1 {
		t.warn("ACPI table FACP: too short")
		return nil
	}
	f := &FADT{
		DSDT:        mm.HPA(le.Uint32(b[40:])),
		SCI:         le.Uint16(b[46:]),
		SMICommand:  le.Uint32(b[48:]),
		ACPIEnable:  b[52],
		ACPIDisable: b[53],
		Century:     b[108],
		Flags:       le.Uint32(b[112:]),
		// One block: 32-bit port at the first offset, length in bytes at the
		// second, and the wide address, which wins, at the third.
		PM1aEvent:   block(b, 56, 88, 148),
		PM1bEvent:   block(b, 60, 88, 160),
		PM1aControl: block(b, 64, 89, 172),
		PM1bControl: block(b, 68, 89, 184),
		PMTimer:     block(b, 76, 91, 208),
	}
	f.PMTimer32 = f.Flags&FlagTimer32 != 0
	if b[8] >= 2 { // reserved in ACPI 1.0
		f.BootFlags = le.Uint16(b[109:])
	}
	if len(b) >= 129 && f.Flags&FlagReset != 0 {
		f.Reset, f.ResetValue = register(b[116:]), b[128]
	}
	if len(b) >= 148 {
		if x := le.Uint64(b[140:]); x != 0 {
			f.DSDT = mm.HPA(x)
		}
	}
	return f
}

// block reads a register block that has an old and a new description.
func block(b []byte, port, length, wide int) Register {
	if len(b) >= wide+12 {
		if r := register(b[wide:]); r.Addr != 0 {
			return r
		}
	}
	a := le.Uint32(b[port:])
	if a == 0 {
		return Register{}
	}
	// The length is in bytes; 255 bits is more than any block here has.
	return Register{Space: SpaceIO, Width: uint8(min(int(b[length])*8, 248)), Addr: uint64(a)}
}

func register(b []byte) Register {
	return Register{Space: b[0], Width: b[1], Offset: b[2], Access: b[3], Addr: le.Uint64(b[4:])}
}

// S5 is what to write to the sleep type field of PM1a and PM1b control for
// soft-off ("\_S5").
type S5 struct{ TypeA, TypeB uint8 }

// Fields of the PM1 control registers ("PM1 Control Registers Fixed Hardware
// Feature Control Bits"): to power off, write TypeA<<SleepTypeShift|SleepEnable
// to PM1a control, then the same with TypeB to PM1b control if that exists.
const (
	SleepTypeShift = 10
	SleepTypeMask  = 7 << SleepTypeShift
	SleepEnable    = 1 << 13
)

// AML opcodes ("AML Byte Stream Byte Values").
const (
	amlZero    = 0x00
	amlOne     = 0x01
	amlName    = 0x08
	amlByte    = 0x0a
	amlWord    = 0x0b
	amlDword   = 0x0c
	amlPackage = 0x12
	amlRoot    = '\\'
)

// findS5 searches AML for Name(_S5, Package(){a, b, ...}) without interpreting
// what is around it. A match that does not hold together is passed over.
func findS5(aml []byte) *S5 {
	for n := 1; n+4 < len(aml); n++ {
		if aml[n] != '_' || string(aml[n:n+4]) != "_S5_" {
			continue
		}
		named := aml[n-1] == amlName || n >= 2 && aml[n-1] == amlRoot && aml[n-2] == amlName
		if !named {
			continue
		}
		if s := packageS5(aml[n+4:]); s != nil {
			return s
		}
	}
	return nil
}

// packageS5 reads the package: opcode, length ("Package Length Encoding"),
// number of elements, elements.
func packageS5(b []byte) *S5 {
	if len(b) < 3 || b[0] != amlPackage {
		return nil
	}
	b = b[1:]
	extra := int(b[0] >> 6)
	if len(b) < 1+extra {
		return nil
	}
	length := int(b[0] & 0x3f)
	if extra > 0 {
		length &= 0xf
		for n := range extra {
			length |= int(b[1+n]) << (4 + 8*n)
		}
	}
	if length < 2+extra || length > len(b) {
		return nil
	}
	count := b[1+extra]
	b = b[2+extra : length]
	a, b, ok := integer(b)
	if !ok || count == 0 {
		return nil
	}
	var second uint32 // firmware with a package of one has no PM1b
	if count > 1 {
		if second, _, ok = integer(b); !ok {
			return nil
		}
	}
	if a > 7 || second > 7 {
		return nil
	}
	return &S5{TypeA: uint8(a), TypeB: uint8(second)}
}

// integer reads one constant.
func integer(b []byte) (v uint32, rest []byte, ok bool) {
	switch {
	case len(b) >= 1 && (b[0] == amlZero || b[0] == amlOne):
		return uint32(b[0]), b[1:], true
	case len(b) >= 2 && b[0] == amlByte:
		return uint32(b[1]), b[2:], true
	case len(b) >= 3 && b[0] == amlWord:
		return uint32(le.Uint16(b[1:])), b[3:], true
	case len(b) >= 5 && b[0] == amlDword:
		return le.Uint32(b[1:]), b[5:], true
	}
	return 0, nil, false
}
