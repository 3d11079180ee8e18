// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build invariants

package mm

// Invariants turns on the expensive self-checks of the core packages. It is
// true in builds with -tags invariants.
const Invariants = true
