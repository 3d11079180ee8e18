// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

// The opcode maps say what follows each opcode (SDM Vol. 2, "Opcode Map").
//
//	.  nothing                      m  ModRM
//	b  imm8                         M  ModRM, imm8
//	z  imm of operand size, max 4   Z  ModRM, z
//	v  imm of operand size          w  imm16
//	o  address (moffs)              f  far pointer: z, imm16
//	j  near displacement            e  imm16, imm8
//	g  ModRM, imm8 for reg 0, 1     G  ModRM, z for reg 0, 1
//	c  ModRM that names registers only
//	i  nothing, undefined in 64-bit mode
//	B  imm8, undefined in 64-bit mode
//	N  ModRM, imm8, undefined in 64-bit mode
//	V  LDS, LES or VEX              E  BOUND or EVEX
//	X  POP or XOP                   x  undefined or unknown
//	p  prefix                       2  escapes: 0F, 3 0F 38, 4 0F 3A
const (
	mapOne = "" +
		"mmmmbziimmmmbzi2" + // 00
		"mmmmbziimmmmbzii" + // 10
		"mmmmbzpimmmmbzpi" + // 20
		"mmmmbzpimmmmbzpi" + // 30
		"................" + // 40
		"................" + // 50
		"iiEmppppzZbM...." + // 60
		"bbbbbbbbbbbbbbbb" + // 70
		"MZNMmmmmmmmmmmmX" + // 80
		"..........f....." + // 90
		"oooo....bz......" + // A0
		"bbbbbbbbvvvvvvvv" + // B0
		"MMw.VVMZe.w..bi." + // C0
		"mmmmBBi.mmmmmmmm" + // D0
		"bbbbbbbbjjfb...." + // E0
		"p.pp..gG......mm" //   F0

	mapTwo = "" +
		"mmmmx.....x.xm.M" + // 0F 00
		"mmmmmmmmmmmmmmmm" + // 10
		"ccccxxxxmmmmmmmm" + // 20
		"......x.3x4xxxxx" + // 30
		"mmmmmmmmmmmmmmmm" + // 40
		"mmmmmmmmmmmmmmmm" + // 50
		"mmmmmmmmmmmmmmmm" + // 60
		"MMMMmmm.mmxxmmmm" + // 70
		"jjjjjjjjjjjjjjjj" + // 80
		"mmmmmmmmmmmmmmmm" + // 90
		"...mMmxx...mMmmm" + // A0
		"mmmmmmmmmmMmmmmm" + // B0
		"mmMmMMMm........" + // C0
		"mmmmmmmmmmmmmmmm" + // D0
		"mmmmmmmmmmmmmmmm" + // E0
		"mmmmmmmmmmmmmmmm" //   F0
)

// Compile-time checks of the lengths.
var (
	_ = [1]struct{}{}[len(mapOne)-256]
	_ = [1]struct{}{}[len(mapTwo)-256]
)
