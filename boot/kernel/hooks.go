// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build !tamago

package kernel

// hookBoot prepares the runtime's hooks: on system calls it has none.
//
//go:nosplit
func hookBoot() {}
