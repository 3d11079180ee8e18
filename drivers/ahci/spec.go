// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ahci

import "encoding/binary"

var le = binary.LittleEndian

// Registers of the controller (AHCI 1.3.1, "Generic Host Control").
const (
	regCAP  = 0x00
	regGHC  = 0x04
	regIS   = 0x08
	regPI   = 0x0c
	regCAP2 = 0x24
	regBOHC = 0x28
	regPort = 0x100 // of port 0; each has portSize bytes

	portSize = 0x80

	capStagger = 1 << 27
	capNCQ     = 1 << 30
	cap64      = 1 << 31

	ghcReset  = 1 << 0
	ghcIRQ    = 1 << 1
	ghcEnable = 1 << 31

	handOff     = 1 << 0 // of CAP2, BOH
	biosOwned   = 1 << 0
	osOwned     = 1 << 1
	biosIsBusy  = 1 << 4
	activeState = 1 // of SSTS, IPM
)

// Registers of a port ("Port Registers").
const (
	portCLB  = 0x00
	portFB   = 0x08
	portIS   = 0x10
	portIE   = 0x14
	portCMD  = 0x18
	portTFD  = 0x20
	portSIG  = 0x24
	portSSTS = 0x28
	portSCTL = 0x2c
	portSERR = 0x30
	portSACT = 0x34
	portCI   = 0x38

	cmdStart   = 1 << 0
	cmdSpinUp  = 1 << 1
	cmdPower   = 1 << 2
	cmdReceive = 1 << 4
	cmdRxRuns  = 1 << 14
	cmdRuns    = 1 << 15
	cmdPacket  = 1 << 24 // the device is ATAPI
	cmdICC     = 0xf << 28
	cmdActive  = 1 << 28

	// Interrupts: of commands, of what plugs, and of errors.
	irqD2H     = 1 << 0
	irqPIO     = 1 << 1
	irqDMA     = 1 << 2
	irqBits    = 1 << 3
	irqConnect = 1 << 6
	irqReady   = 1 << 22
	irqErrors  = 1<<30 | 1<<29 | 1<<28 | 1<<27 | 1<<24 // task file, bus, data, interface, overflow
	irqPlug    = irqConnect | irqReady
	irqAll     = irqD2H | irqPIO | irqDMA | irqBits | irqPlug | irqErrors

	linkUp   = 3 // of SSTS, DET
	linkMask = 15

	sigDisk   = 0x0000_0101
	sigPacket = 0xeb14_0101
)

// Sizes and places in a port's memory ("System Memory Structures").
const (
	slots       = 32
	listSize    = 1024
	receiveAt   = listSize
	receiveSize = 256
	bufferAt    = 2048 // for what the driver asks itself, bufferSize bytes
	bufferSize  = 512
	portMemory  = 4096

	headerSize  = 32
	maxSegments = 120
	packetAt    = 0x40
	prdAt       = 0x80
	prdSize     = 16
	tableSize   = prdAt + maxSegments*prdSize
	maxPiece    = 4 << 20 // of a segment

	fisH2D     = 0x27
	fisCommand = 1 << 7
)
