// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"ringo/boot/churn"
	"ringo/boot/kernel"
)

// load is the torture in progress, nil without the option.
var load *churn.Load

// torture keeps the hypervisor's own Go runtime busy. A wrong byte is a crash.
func torture() {
	load = churn.Start(kernel.NumCPU(), func(what string) { panic(what) })
}

// tortureReport says how far it is, for the debug key of memory.
func tortureReport() {
	if load != nil {
		say().S("torture: ").U(load.Rounds.Load()).S(" rounds, ").
			U(load.Collections.Load()).S(" collections").End()
	}
}
