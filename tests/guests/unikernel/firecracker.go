// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build tamago && firecracker

package main

import "github.com/usbarmory/tamago/board/firecracker/microvm"

const board = "firecracker"

var (
	cpu     = microvm.AMD64
	console = microvm.UART0
)
