// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build !tamago

package layout

// UserBase is described with [UserEnd].
const UserBase = 0x10_0000_0000
