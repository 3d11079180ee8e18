// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build tamago && cloudhypervisor

package main

import _ "github.com/usbarmory/tamago/board/cloud_hypervisor/vm"

const board = "cloudhypervisor"
