// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import "errors"

// writeMicro builds tests/guests/micro.
func writeMicro(name string) error { return errors.New("tests/guests/micro is not there") }
