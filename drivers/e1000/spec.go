// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package e1000

import "encoding/binary"

var le = binary.LittleEndian

// Registers (Intel 82574 GbE Controller Family Datasheet, "Driver Programing Interface";
// PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, "Register
// Descriptions", for the 82540EM).
const (
	regCTRL    = 0x0000
	regSTATUS  = 0x0008
	regEERD    = 0x0014
	regCTRLExt = 0x0018
	regICR     = 0x00c0
	regITR     = 0x00c4
	regIMS     = 0x00d0
	regIMC     = 0x00d8
	regEIAC    = 0x00dc // 82574
	regIVAR    = 0x00e4 // 82574
	regEITR    = 0x00e8 // 82574
	regRCTL    = 0x0100
	regTCTL    = 0x0400
	regTIPG    = 0x0410
	regRDBAL   = 0x2800
	regRDBAH   = 0x2804
	regRDLEN   = 0x2808
	regRDH     = 0x2810
	regRDT     = 0x2818
	regRDTR    = 0x2820
	regRADV    = 0x282c
	regTDBAL   = 0x3800
	regTDBAH   = 0x3804
	regTDLEN   = 0x3808
	regTDH     = 0x3810
	regTDT     = 0x3818
	regTIDV    = 0x3820
	regTXDCTL  = 0x3828
	regTADV    = 0x382c
	regMPC     = 0x4010
	regCRCERRS = 0x4000
	regRNBC    = 0x40a0
	regRXCSUM  = 0x5000
	regRFCTL   = 0x5008
	regMTA     = 0x5200
	regRAL     = 0x5400
	regRAH     = 0x5404
	regSize    = 0x10000 // what is used of the window
)

// Bits.
const (
	ctrlASDE          = 1 << 5
	ctrlSLU           = 1 << 6 // set link up
	ctrlMasterDisable = 1 << 2 // 82574
	ctrlReset         = 1 << 26

	statusFull   = 1 << 0
	statusLink   = 1 << 1
	statusMaster = 1 << 19 // 82574: requests are under way

	extIAME = 1 << 27

	icrTxWritten = 1 << 0
	icrLink      = 1 << 2
	icrRxLow     = 1 << 4
	icrRxOverrun = 1 << 6
	icrRxTimer   = 1 << 7
	icrRxQueue0  = 1 << 20 // with MSI-X, 82574
	icrTxQueue0  = 1 << 22
	icrOther     = 1 << 24

	rctlEnable      = 1 << 1
	rctlUnicast     = 1 << 3 // for all addresses
	rctlMulticast   = 1 << 4 // of all groups
	rctlBroadcast   = 1 << 15
	rctlStripCRC    = 1 << 26
	tctlEnable      = 1 << 1
	tctlPad         = 1 << 3
	tctlCollisions  = 0x0f<<4 | 0x3f<<12
	tctlMulr        = 1 << 28 // 82574: several reads of memory at a time
	tipg            = 8 | 8<<10 | 6<<20
	rxcsumIP        = 1 << 8
	rxcsumTransport = 1 << 9
	rahValid        = 1 << 31
)

// Descriptors: 16 bytes each, of both rings.
const (
	descLen = 16

	// "Receive Descriptor", the legacy form; of status and errors.
	rxDone      = 1 << 0
	rxEnd       = 1 << 1
	rxIgnoreSum = 1 << 2
	rxUDPSum    = 1 << 4 // 82574: UDP's was looked at
	rxTCPSum    = 1 << 5
	rxErrTCP    = 1 << 5
	rxErrIP     = 1 << 6
	rxErrFrame  = 1<<0 | 1<<1 | 1<<2 | 1<<4 | 1<<7 // anything about the frame itself

	// "TCP/IP Data Descriptor" and "TCP/IP Context Descriptor", in the third word.
	txData     = 1 << 20
	txEnd      = 1 << 24
	txFCS      = 1 << 25
	txSegment  = 1 << 26
	txReport   = 1 << 27
	txExtended = 1 << 29
	txTCP      = 1 << 24 // of a context
	txIPv4     = 1 << 25
	// In the fourth word.
	txDone     = 1 << 0
	txSumIP    = 1 << 8
	txSumTrans = 2 << 8
)
