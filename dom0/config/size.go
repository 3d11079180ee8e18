// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Size is an amount of memory. As text it has a unit (KiB, MiB, GiB, TiB) or is
// in MiB; in JSON it is a number of bytes. It is a structure so that a bare
// number of a TOML file does not bypass UnmarshalText.
type Size struct{ Bytes uint64 }

// sizeError is text that is not a size.
type sizeError struct{ text string }

func (e *sizeError) Error() string {
	return fmt.Sprintf("%q is not a size: write 512MiB, 1GiB or a number of MiB", short(e.text))
}

var units = []struct {
	suffix string
	shift  uint
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}}

// ParseSize reads "512MiB", "1GiB", "448M" or "512" (MiB).
func ParseSize(s string) (Size, error) {
	num, shift := strings.TrimSpace(s), uint(20)
	for _, u := range units {
		for _, suffix := range []string{u.suffix, u.suffix[:1]} {
			if rest, ok := strings.CutSuffix(num, suffix); ok {
				num, shift = strings.TrimSpace(rest), u.shift
				break
			}
		}
		if shift == u.shift && num != strings.TrimSpace(s) {
			break
		}
	}
	n, err := strconv.ParseUint(num, 10, 64)
	if err != nil || n<<shift>>shift != n {
		return Size{}, &sizeError{s}
	}
	return Size{n << shift}, nil
}

// String returns the size with the largest unit that leaves a whole number.
func (s Size) String() string {
	for i := len(units) - 1; i >= 0; i-- {
		if u := units[i]; s.Bytes != 0 && s.Bytes>>u.shift<<u.shift == s.Bytes {
			return strconv.FormatUint(s.Bytes>>u.shift, 10) + u.suffix
		}
	}
	if s.Bytes == 0 {
		return "0MiB"
	}
	return strconv.FormatUint(s.Bytes, 10) + " bytes"
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSize(string(b))
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON implements json.Marshaler.
func (s Size) MarshalJSON() ([]byte, error) { return strconv.AppendUint(nil, s.Bytes, 10), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Size) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &s.Bytes) }
