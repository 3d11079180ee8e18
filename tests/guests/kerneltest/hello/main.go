// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Hello is the smallest program on the kernel layer: it prints a line and
// switches the machine off.
package main

import _ "ringo/boot/kernel"

func main() {
	println("hello")
}
