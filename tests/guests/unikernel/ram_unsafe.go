// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build tamago

package main

import _ "unsafe" // for go:linkname

// ramSize is the memory that the runtime takes, from 256 MiB on: what a domain of 64
// MiB has there. TamaGo's boards want 2.5 GiB if nobody says otherwise (build tag
// linkramsize).
//
//go:linkname ramSize runtime/goos.RamSize
var ramSize uint64 = 62 << 20
