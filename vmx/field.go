// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

// The fields of the VMCS by width and access. An encoding says both itself (SDM
// Vol. 3, "Field Encoding in VMCS"): access to the high half in bit 0, index in
// 9:1, type in 11:10 (0 control, 1 exit information, 2 guest, 3 host), width in
// 14:13 (0 16 bits, 1 64 bits, 2 32 bits, 3 natural). A test holds every constant
// of this file against its type. Fields of type ro* cannot be written on all
// CPUs.
type (
	field16  uint32
	field64  uint32
	field32  uint32
	fieldNat uint32
	ro64     uint32
	ro32     uint32
	roNat    uint32
)

// Control fields (SDM Vol. 3, Appendix "Field Encoding in VMCS").
const (
	ctlVPID field16 = 0x0000

	ctlIOBitmapA    field64 = 0x2000
	ctlIOBitmapB    field64 = 0x2002
	ctlMSRBitmap    field64 = 0x2004
	ctlTSCOffset    field64 = 0x2010
	ctlVirtualAPIC  field64 = 0x2012
	ctlEPTP         field64 = 0x201a
	ctlEOIExit      field64 = 0x201c // the first of four
	ctlExecutiveVPA field64 = 0x200c

	ctlPin          field32  = 0x4000
	ctlProc         field32  = 0x4002
	ctlExceptions   field32  = 0x4004
	ctlPFMask       field32  = 0x4006
	ctlPFMatch      field32  = 0x4008
	ctlCR3Targets   field32  = 0x400a
	ctlExit         field32  = 0x400c
	ctlExitStore    field32  = 0x400e
	ctlExitLoad     field32  = 0x4010
	ctlEntry        field32  = 0x4012
	ctlEntryLoad    field32  = 0x4014
	ctlEntryEvent   field32  = 0x4016
	ctlEntryError   field32  = 0x4018
	ctlEntryLength  field32  = 0x401a
	ctlTPRThreshold field32  = 0x401c
	ctlProc2        field32  = 0x401e
	ctlPauseGap     field32  = 0x4020
	ctlPauseWindow  field32  = 0x4022
	ctlNotifyWindow field32  = 0x4024
	ctlCR0Mask      fieldNat = 0x6000
	ctlCR4Mask      fieldNat = 0x6002
	ctlCR0Shadow    fieldNat = 0x6004
	ctlCR4Shadow    fieldNat = 0x6006
)

// Exit information fields.
const (
	exitGPA ro64 = 0x2400

	exitInsnError  ro32 = 0x4400
	exitReason     ro32 = 0x4402
	exitIntInfo    ro32 = 0x4404
	exitIntError   ro32 = 0x4406
	exitVectoring  ro32 = 0x4408
	exitVectError  ro32 = 0x440a
	exitInsnLength ro32 = 0x440c

	exitQualification roNat = 0x6400
	exitLinear        roNat = 0x640a
)

// Guest-state fields. Segment registers come in the order of x86.Seg.
const (
	guestESSelector field16 = 0x0800
	guestIntStatus  field16 = 0x0810 // RVI 7:0, SVI 15:8

	guestLink     field64 = 0x2800
	guestDebugCtl field64 = 0x2802
	guestPAT      field64 = 0x2804
	guestEFER     field64 = 0x2806
	guestPDPTE0   field64 = 0x280a

	guestESLimit         field32 = 0x4800
	guestGDTRLimit       field32 = 0x4810
	guestIDTRLimit       field32 = 0x4812
	guestESAccess        field32 = 0x4814
	guestSSAccess        field32 = 0x4818 // read at each exit
	guestInterruptState  field32 = 0x4824
	guestActivity        field32 = 0x4826
	guestSysenterCS      field32 = 0x482a
	guestPreemptionTimer field32 = 0x482e

	guestCR0          fieldNat = 0x6800
	guestCR3          fieldNat = 0x6802
	guestCR4          fieldNat = 0x6804
	guestESBase       fieldNat = 0x6806
	guestGDTRBase     fieldNat = 0x6816
	guestIDTRBase     fieldNat = 0x6818
	guestDR7          fieldNat = 0x681a
	guestRSP          fieldNat = 0x681c
	guestRIP          fieldNat = 0x681e
	guestRFLAGS       fieldNat = 0x6820
	guestPendingDebug fieldNat = 0x6822
	guestSysenterESP  fieldNat = 0x6824
	guestSysenterEIP  fieldNat = 0x6826
)

// Host-state fields.
const (
	hostES field16 = 0x0c00
	hostCS field16 = 0x0c02
	hostSS field16 = 0x0c04
	hostDS field16 = 0x0c06
	hostFS field16 = 0x0c08
	hostGS field16 = 0x0c0a
	hostTR field16 = 0x0c0c

	hostPAT  field64 = 0x2c00
	hostEFER field64 = 0x2c02

	hostSysenterCS field32 = 0x4c00

	hostCR0         fieldNat = 0x6c00
	hostCR3         fieldNat = 0x6c02
	hostCR4         fieldNat = 0x6c04
	hostFSBase      fieldNat = 0x6c06
	hostGSBase      fieldNat = 0x6c08
	hostTRBase      fieldNat = 0x6c0a
	hostGDTRBase    fieldNat = 0x6c0c
	hostIDTRBase    fieldNat = 0x6c0e
	hostSysenterESP fieldNat = 0x6c10
	hostSysenterEIP fieldNat = 0x6c12
	hostRSP         fieldNat = 0x6c14
	hostRIP         fieldNat = 0x6c16
)
