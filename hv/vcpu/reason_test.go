// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

import "testing"

func TestReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range NumReasons {
		s := r.String()
		if s == "" || len(s) > 15 || seen[s] {
			t.Errorf("reason %d is called %q", r, s)
		}
		seen[s] = true
	}
	if Interrupted.String() != "interrupted" || Unknown.String() != "unknown" || CRWrite.String() != "cr-write" {
		t.Error("names are out of step with the constants")
	}
}
