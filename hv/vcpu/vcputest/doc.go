// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vcputest holds the fakes of the vCPU seam and the suite that every
// backend must pass.
//
// [Backend] and [VCPU] are scripted: a vCPU returns the exits of its script one
// after the other and records what its caller did between them. [Conformance]
// states the contract of package vcpu; it runs on the fake, and on a real
// backend inside an emulator, where there is no testing package.
package vcputest
