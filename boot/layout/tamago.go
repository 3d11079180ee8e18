// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build tamago

package layout

// UserBase is described with [UserEnd]. TamaGo's runtime has 32 bits for heap addresses
// and for its thread's FS base.
const UserBase = 0x4000_0000
