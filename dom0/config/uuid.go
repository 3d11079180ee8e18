// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// ParseUUID reads a UUID in the form 8-4-4-4-12.
func ParseUUID(s string) (u [16]byte, err error) {
	h := strings.ReplaceAll(s, "-", "")
	if b, err := hex.DecodeString(h); err == nil && len(b) == 16 {
		copy(u[:], b)
		if FormatUUID(u) == strings.ToLower(s) {
			return u, nil
		}
	}
	return u, fmt.Errorf("%q is not a UUID: write xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", short(s))
}

// FormatUUID is the inverse of ParseUUID.
func FormatUUID(u [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
