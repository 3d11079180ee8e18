// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package problem

import (
	"fmt"
	"runtime"
	"strings"
)

// Panic makes a problem of a panic's value. It is for the deferred function that has
// recovered: the message says where the panic began.
func Panic(v any) *Error {
	pc := make([]uintptr, 32)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	where, begun := "", false
	for where == "" {
		f, more := frames.Next()
		switch own := strings.HasPrefix(f.Function, "runtime."); {
		case f.Function == "runtime.gopanic":
			begun = true
		case begun && !own:
			where = fmt.Sprintf(", in %s, line %d", f.Function, f.Line)
		}
		if !more {
			break
		}
	}
	return New(Internal, "", "internal error: %v%s", v, where)
}
