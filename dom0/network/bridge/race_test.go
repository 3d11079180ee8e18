// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build race

package bridge

// The race detector has pools lose things.
func init() { poolsLose = true }
