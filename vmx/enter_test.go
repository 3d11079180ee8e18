// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"testing"

	"ringo/hv/vcpu/hosttest"
)

func TestRuntimeAgrees(t *testing.T) { hosttest.RuntimeAgrees(t, "enter_amd64.s") }
