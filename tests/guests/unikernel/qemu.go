// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build tamago && qemu

package main

import "github.com/usbarmory/tamago/board/qemu/microvm"

const board = "qemu"

var (
	cpu     = microvm.AMD64
	console = microvm.UART0
)
