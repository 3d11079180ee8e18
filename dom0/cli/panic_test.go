// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"bytes"
	"strings"
	"testing"
)

// TestPanic runs a verb that panics, for want of an API: the shell goes on.
func TestPanic(t *testing.T) {
	var s Shell
	for _, line := range []string{"list", "info"} {
		var b bytes.Buffer
		if st := s.Run(line, &b); st != 1 || !strings.HasPrefix(b.String(), "error: internal error: runtime error: invalid memory address or nil pointer dereference, in ringo/") {
			t.Errorf("%s: status %d, %q", line, st, b.String())
		}
	}
}
