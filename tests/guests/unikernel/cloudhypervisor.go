// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build tamago && cloudhypervisor

package main

import "github.com/usbarmory/tamago/board/cloud_hypervisor/vm"

const board = "cloudhypervisor"

var (
	cpu     = vm.AMD64
	console = vm.UART0
)
